// One message. Each part is built anew only when it changed, so that a player keeps playing and
// a button keeps the focus while the words above it stream in.

import { api, explain } from "./api.js";
import { plainText } from "./blocks.js";
import { isMessageCommand } from "./commands.js";
import { components, releaseWaiting } from "./components.js";
import { h, icon, iconButton, toast } from "./dom.js";
import { embeds } from "./embeds.js";
import { showHistory } from "./history.js";
import { markdown } from "./markdown.js";
import { attachments } from "./media.js";
import { openMessageMenu } from "./message-menu.js";
import { findUser, forgetMessage, nameOf, setReply, state } from "./state.js";
import { formatTime, stampOf } from "./time.js";

export const EPHEMERAL = 1 << 6;
export const LOADING = 1 << 7;
const V2 = 1 << 15;
const EXCERPT_CHARS_MAX = 120;
// Messages of one author closer than this read as one.
const GROUP_MS = 7 * 60 * 1000;

export const has = (message, flag) => Boolean((message.flags ?? 0) & flag);
const isEphemeral = (message) => Boolean(message.ephemeral_for) || has(message, EPHEMERAL);

export const interactionOf = (message) => message.interaction_metadata ?? message.interaction;

/** Whether `message` stands under the author's name of `previous`. */
export function continues(message, previous) {
  if (!previous || message.referenced_message || message.message_reference) return false;
  if (interactionOf(message) || isEphemeral(message) !== isEphemeral(previous)) return false;
  if (message.author?.id !== previous.author?.id) return false;
  return Date.parse(message.timestamp) - Date.parse(previous.timestamp) < GROUP_MS;
}

export function avatar(user, className = "avatar") {
  const name = nameOf(user);
  const known = findUser(user?.id);
  const colour = known?.avatar_color ?? user?.avatar_color ?? user?.accent_color;
  const vars = colour ? { avatar: colourOf(colour) } : {};
  if (user?.bot)
    return h("span", { class: `${className} avatar-bot`, "aria-hidden": true }, icon("bot"));
  return h("span", { class: className, vars, "aria-hidden": true }, [...name][0] ?? "?");
}

const colourOf = (value) =>
  typeof value === "number" ? `#${value.toString(16).padStart(6, "0")}` : value;

/** A view of one message: `element`, `update(message, previous)`, `releaseWaiting()`. */
export class MessageView {
  constructor(message, previous) {
    this.parts = new Map();
    this.failure = h("div", { class: "failure", role: "alert", hidden: true });
    this.column = h("div", { class: "message-column" });
    this.gutter = h("div", { class: "message-gutter" });
    this.tools = h("div", { class: "message-tools" });
    this.element = h("article", { class: "message", dataset: { id: message.id } });
    for (const name of ["reply", "head", "body", "attachments", "embeds", "components", "foot"]) {
      const slot = h("div", { class: `slot slot-${name}` });
      this.parts.set(name, { slot, signature: null });
      if (name !== "reply") this.column.append(slot);
    }
    this.parts.set("tools", { slot: this.tools, signature: null });
    this.column.append(this.failure);
    this.element.append(this.parts.get("reply").slot, this.gutter, this.column, this.tools);
    this.element.addEventListener("contextmenu", (event) => this.contextMenu(event));
    this.update(message, previous);
  }

  update(message, previous) {
    this.message = message;
    const grouped = continues(message, previous);
    const mentionsMe = message.mentions?.some((user) => user.id === state.me.id);
    this.element.className = ["message", grouped && "grouped", mentionsMe && "mentions-me"]
      .concat([isEphemeral(message) && "ephemeral"])
      .filter(Boolean)
      .join(" ");
    const author = message.author;
    const label = state.labels.get(interactionOf(message)?.id);
    this.part("reply", [message.referenced_message, interactionOf(message)?.id, label], () =>
      contextLine(message),
    );
    this.part("head", [grouped, nameOf(author), message.timestamp], () =>
      grouped ? null : headOf(message),
    );
    this.gutterPart(grouped, message);
    this.part("body", [message.content, message.flags, message.edited_timestamp], () =>
      bodyOf(message),
    );
    this.part("attachments", message.attachments, () => looseAttachments(message));
    this.part("embeds", message.embeds, () => message.embeds?.length && embeds(message.embeds));
    this.part("components", message.components, () => components(message));
    const late = has(message, V2) && message.edited_timestamp;
    this.part("foot", [isEphemeral(message), message.reactions, late], () =>
      footOf(message, () => this.remove()),
    );
    this.part("tools", [message.id], () => this.toolButtons());
  }

  part(name, facts, build) {
    const signature = JSON.stringify(facts ?? null);
    const part = this.parts.get(name);
    if (part.signature === signature) return;
    part.signature = signature;
    const held = part.slot.contains(document.activeElement) && document.activeElement;
    part.slot.replaceChildren(...[build()].flat().filter((node) => node instanceof Node));
    if (held) focusAgain(part.slot, held.dataset.customId);
  }

  gutterPart(grouped, message) {
    const signature = JSON.stringify([grouped, message.author?.id]);
    if (this.gutter.dataset.signature === signature) return;
    this.gutter.dataset.signature = signature;
    const short = h(
      "span",
      { class: "gutter-time" },
      formatTime(Date.parse(message.timestamp), "t"),
    );
    this.gutter.replaceChildren(grouped ? short : avatar(message.author));
  }

  toolButtons() {
    if (isEphemeral(this.message)) return [];
    const more = iconButton("more", "More", () => this.menu(more), {
      "aria-haspopup": "menu",
      "aria-expanded": "false",
    });
    return [...this.actions().map((one) => iconButton(one.icon, one.label, one.run)), more];
  }

  actions() {
    const reply = { icon: "reply", label: "Reply", run: () => setReply(this.message) };
    const mine = this.message.author?.id === state.me.id;
    if (!mine && !state.me.staff) return [reply];
    return [reply, { icon: "trash", label: "Delete message", run: () => this.remove() }];
  }

  menu(button) {
    const { left, bottom } = button.getBoundingClientRect();
    openMessageMenu(this.message, this.actions(), { x: left, y: bottom }, button);
  }

  contextMenu(event) {
    // Shift asks for the browser's own menu, and so does a link or chosen words.
    const own = event.shiftKey || event.target.closest("a, input, select, textarea, video");
    if (own || isEphemeral(this.message) || !getSelection().isCollapsed) return;
    event.preventDefault();
    const fromKey = event.clientX === 0 && event.clientY === 0;
    const { left, top } = event.target.getBoundingClientRect();
    const place = fromKey ? { x: left, y: top } : { x: event.clientX, y: event.clientY };
    openMessageMenu(this.message, this.actions(), place, document.activeElement);
  }

  async remove() {
    try {
      await api.remove(state.me.id, this.message.id);
      forgetMessage({ message_id: this.message.id });
    } catch (error) {
      toast(explain(error), "bad");
    }
  }

  releaseWaiting() {
    releaseWaiting(this.element);
  }

  /** Show or (with null) hide the line of a failed press. */
  showFailure(text) {
    this.failure.hidden = !text;
    this.failure.replaceChildren(...(text ? [icon("warn"), text] : []));
  }
}

// A card that counts its progress is built anew under the fingers of whoever stands on a button.
function focusAgain(slot, customId) {
  if (!customId) return;
  slot.querySelector(`[data-custom-id="${CSS.escape(customId)}"]:not(:disabled)`)?.focus();
}

function contextLine(message) {
  const interaction = interactionOf(message);
  if (interaction && !message.referenced_message) return interactionLine(message, interaction);
  const origin = message.referenced_message;
  if (!origin) {
    const lost = message.message_reference && message.type === 19;
    return lost
      ? h("div", { class: "context" }, icon("reply"), "The original message was deleted")
      : null;
  }
  const excerpt = plainExcerpt(origin);
  const jump = () => emphasise(origin.id);
  return h(
    "button",
    { type: "button", class: "context", onclick: jump, "aria-label": "Go to the answered message" },
    icon("reply"),
    h("strong", {}, nameOf(findUser(origin.author?.id) ?? origin.author)),
    h("span", { class: "context-words" }, excerpt),
  );
}

function interactionLine(message, interaction) {
  const user = findUser(interaction.user?.id ?? interaction.user_id) ?? interaction.user;
  const name = interaction.name ?? message.interaction?.name;
  if (!name) return null;
  const onMessage = isMessageCommand(name);
  const label = state.labels.get(interaction.id) ?? (onMessage ? name : `/${name}`);
  return h(
    "div",
    { class: "context" },
    icon(onMessage ? "bot" : "slash"),
    h("strong", {}, nameOf(user)),
    h("span", { class: "context-words" }, "used ", h("span", { class: "command-name" }, label)),
  );
}

export function plainExcerpt(message) {
  const said = plainText(message.content ?? "", (id) => `@${nameOf(findUser(id))}`);
  if (said) return said.slice(0, EXCERPT_CHARS_MAX);
  return message.attachments?.length ? "an attachment" : "a card";
}

function emphasise(messageId) {
  const target = document.querySelector(`.message[data-id="${CSS.escape(messageId)}"]`);
  if (!target) return;
  target.scrollIntoView({ block: "center", behavior: "smooth" });
  target.classList.remove("flash");
  requestAnimationFrame(() => target.classList.add("flash"));
}

function headOf(message) {
  const author = findUser(message.author?.id) ?? message.author;
  const staff = author?.staff && h("span", { class: "tag" }, "staff");
  const bot = message.author?.bot && h("span", { class: "tag tag-bot" }, "bot");
  const atMs = Date.parse(message.timestamp);
  return h(
    "div",
    { class: "message-head" },
    h("span", { class: "author" }, nameOf(author)),
    bot,
    staff,
    h("time", { class: "stamp", title: formatTime(atMs, "F") }, stampOf(message.timestamp)),
  );
}

function bodyOf(message) {
  if (has(message, LOADING)) return thinking();
  if (!message.content || has(message, V2)) return null;
  const body = markdown(message.content);
  if (message.edited_timestamp) lastLine(body).append(editedMark(message));
  return body;
}

// The mark stands behind the last word, not on a line of its own, where there is such a word.
function lastLine(body) {
  const last = body.lastElementChild;
  if (last?.matches(".md-p, .md-small")) return last;
  return last?.matches(".md-list") ? [...last.querySelectorAll(".md-p")].at(-1) : body;
}

function editedMark(message) {
  const show = () => showHistory(message.id);
  return h(
    "button",
    { type: "button", class: "edited", onclick: show, title: "Show the earlier versions" },
    "(edited)",
  );
}

function thinking() {
  return h(
    "div",
    { class: "thinking" },
    h("span", { class: "dots", "aria-hidden": true }, h("i"), h("i"), h("i")),
    "thinking…",
  );
}

function looseAttachments(message) {
  // With V2 components the files are shown where the layout puts them.
  if (has(message, V2) || !message.attachments?.length) return null;
  return attachments(message.attachments);
}

function footOf(message, dismiss) {
  const parts = [];
  if (has(message, V2) && message.edited_timestamp) parts.push(editedMark(message));
  if (message.reactions?.length) {
    parts.push(
      h(
        "div",
        { class: "reactions" },
        message.reactions.map((one) =>
          h("span", { class: "reaction" }, one.emoji?.name, ` ${one.count ?? 1}`),
        ),
      ),
    );
  }
  if (isEphemeral(message)) {
    parts.push(
      h(
        "div",
        { class: "only-you" },
        "Only you can see this · ",
        h("button", { type: "button", class: "link-button", onclick: dismiss }, "Dismiss"),
      ),
    );
  }
  return parts;
}
