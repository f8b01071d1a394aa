// The message list: follows the newest line, unless the reader has scrolled up.

import { h, icon } from "./dom.js";
import { MessageView } from "./message.js";
import { currentChannel, dismissPending, findUser, nameOf, on, state } from "./state.js";
import { formatTime } from "./time.js";

const NEAR_END_PX = 120;
const TYPING_CHECK_MS = 1000;
const NO_ANSWER = "The application did not respond";

export class MessageList {
  constructor(scroller, footer) {
    this.scroller = scroller;
    this.views = new Map();
    this.list = h("div", { class: "message-list" });
    this.notes = h("div", { class: "pending-list", "aria-live": "polite" });
    this.intro = h("div", { class: "intro" });
    scroller.append(h("div", { class: "messages-inner" }, this.intro, this.list, this.notes));
    this.typing = h("div", { class: "typing", "aria-live": "polite" });
    this.jump = h(
      "button",
      { type: "button", class: "jump", hidden: true },
      icon("down"),
      "Newest",
    );
    this.jump.addEventListener("click", () => this.toEnd());
    footer.append(this.jump, this.typing);
    this.atEnd = true;
    scroller.addEventListener("scroll", () => this.noticeScroll(), { passive: true });
    this.watchGrowth();
    on("channel", () => this.clear());
    on("messages", () => this.draw());
    on("message", (id) => this.redraw(id));
    on("pending", (entry) => this.drawPending(entry));
    on("typing", () => this.drawTyping());
    on("world", () => this.drawIntro());
    setInterval(() => this.drawTyping(), TYPING_CHECK_MS);
  }

  // Pictures, cards and the composer change heights at any time; the end stays in view.
  watchGrowth() {
    const keep = new ResizeObserver(() => this.atEnd && this.toEnd());
    keep.observe(this.list);
    keep.observe(this.notes);
    keep.observe(this.scroller);
  }

  noticeScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.atEnd) this.jump.hidden = true;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.atEnd = true;
    this.jump.hidden = true;
  }

  clear() {
    this.views.clear();
    this.list.replaceChildren();
    this.notes.replaceChildren();
    this.atEnd = true;
    this.drawIntro();
    this.drawTyping();
  }

  drawIntro() {
    const channel = currentChannel();
    if (!channel) return;
    const direct = channel.kind === "dm";
    const bot = nameOf(state.botUser ?? { name: "the bot" });
    this.intro.replaceChildren(
      h("div", { class: "intro-mark", "aria-hidden": true }, icon(direct ? "message" : "hash")),
      h("h2", {}, direct ? `Direct messages with ${bot}` : `#${channel.name}`),
      h(
        "p",
        {},
        direct
          ? "Everything you write here is answered; no mention is needed."
          : `Mention @${bot} and it answers here. Nothing leaves this machine.`,
      ),
    );
  }

  draw() {
    const messages = [...state.messages.values()];
    const wanted = new Set(messages.map((one) => one.id));
    for (const [id, view] of this.views) {
      if (wanted.has(id)) continue;
      view.element.remove();
      this.views.delete(id);
    }
    const arrived = messages.some((one) => !this.views.has(one.id));
    let anchor = null;
    messages.forEach((message, index) => {
      const view = this.place(message, messages[index - 1]);
      const next = anchor ? anchor.nextSibling : this.list.firstChild;
      if (next !== view.element) this.list.insertBefore(view.element, next);
      anchor = view.element;
      this.day(view, message, messages[index - 1]);
    });
    const mine = messages.at(-1)?.author?.id === state.me?.id;
    if (this.atEnd || (arrived && mine)) this.toEnd();
    else if (arrived) this.jump.hidden = false;
    for (const entry of state.pending.values()) this.drawPending(entry);
  }

  place(message, previous) {
    const view = this.views.get(message.id);
    if (view) {
      view.update(message, previous);
      return view;
    }
    const fresh = new MessageView(message, previous);
    this.views.set(message.id, fresh);
    return fresh;
  }

  day(view, message, previous) {
    const name = formatTime(Date.parse(message.timestamp), "D");
    const changed = previous && name !== formatTime(Date.parse(previous.timestamp), "D");
    if (changed) view.element.dataset.day = name;
    else delete view.element.dataset.day;
  }

  redraw(id) {
    const messages = [...state.messages.values()];
    const index = messages.findIndex((one) => one.id === id);
    this.views.get(id)?.update(messages[index], messages[index - 1]);
    if (this.atEnd) this.toEnd();
  }

  /** A press shows beside its button, a command as a line of its own at the end. */
  drawPending(entry) {
    if (entry.channelId !== state.channelId) return;
    const open = state.pending.has(entry.id);
    if (entry.messageId) return this.drawPress(entry, open);
    const known = this.notes.querySelector(`[data-id="${CSS.escape(entry.id)}"]`);
    if (!open) known?.remove();
    else if (known) known.replaceWith(this.note(entry));
    else {
      this.notes.append(this.note(entry));
      this.atEnd = true;
    }
    if (this.atEnd) this.toEnd();
  }

  drawPress(entry, open) {
    const view = this.views.get(entry.messageId);
    if (!view) return;
    if (!open || entry.state === "failed") view.releaseWaiting();
    if (!open) return;
    view.showFailure(entry.state === "failed" ? failureText(entry) : null);
    if (entry.state === "failed") state.pending.delete(entry.id);
  }

  note(entry) {
    const failed = entry.state === "failed";
    const dismiss = h("button", { type: "button", class: "link-button" }, "Dismiss");
    dismiss.addEventListener("click", () => dismissPending(entry.id));
    return h(
      "div",
      { class: `note${failed ? " note-failed" : ""}`, dataset: { id: entry.id } },
      icon(failed ? "warn" : "slash"),
      h("span", { class: "command-name" }, entry.label),
      failed
        ? [h("span", {}, failureText(entry)), dismiss]
        : h("span", { class: "quiet" }, "sending…"),
    );
  }

  drawTyping() {
    const now = Date.now();
    for (const [id, until] of state.typing) if (until < now) state.typing.delete(id);
    const names = [...state.typing.keys()].map((id) => nameOf(findUser(id)));
    const said = names.join(", ");
    if (this.typing.dataset.said === said) return;
    this.typing.dataset.said = said;
    this.typing.replaceChildren();
    if (!names.length) return;
    const dots = h("span", { class: "dots", "aria-hidden": true }, h("i"), h("i"), h("i"));
    this.typing.append(
      dots,
      h("strong", {}, said),
      names.length > 1 ? " are typing…" : " is typing…",
    );
  }
}

const failureText = (entry) =>
  typeof entry.error === "string" && entry.error.includes(" ") ? entry.error : NO_ANSWER;
