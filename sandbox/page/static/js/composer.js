// The message box: text, files, the answered message, completion of commands and mentions.

import { api, dataAddress, encodeFile, explain } from "./api.js";
import { CommandForm } from "./command-form.js";
import { leafCommands, matchCommands } from "./commands.js";
import { h, icon, iconButton, replace, toast } from "./dom.js";
import { plainExcerpt } from "./message.js";
import { Picker } from "./picker.js";
import { formatBytes } from "./media.js";
import { currentChannel, findUser, nameOf, on, refreshIfOlder, setReply, state } from "./state.js";

// Discord's own bounds: characters of a message and files on it.
const CHARS_MAX = 2000;
const FILES_MAX = 10;
const COUNT_FROM_CHARS = 1800;
const COMMANDS_FRESH_MS = 3000;

export class Composer {
  constructor(footer) {
    this.files = [];
    this.mentions = new Map(); // shown name → id, for those picked from the list
    this.build(footer);
    this.picker = new Picker(this.input, this.popup);
    this.form = new CommandForm(this.formSlot, () => this.leaveForm());
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("paste", (event) => this.paste(event));
    this.input.addEventListener("click", () => this.complete());
    this.allowDrops();
    on("reply", () => this.drawReply());
    on("channel", () => this.enter());
    on("bot", () => this.drawPlaceholder());
    on("world", () => this.drawPlaceholder());
    on("command", (name) => this.openCommand(name));
  }

  build(footer) {
    this.popup = h("div", { class: "popup-slot" });
    this.formSlot = h("div", { class: "form-slot", hidden: true });
    this.replyBar = h("div", { class: "reply-bar", hidden: true });
    this.chips = h("div", { class: "chips", hidden: true });
    this.input = h("textarea", {
      id: "composer-input",
      rows: 1,
      maxlength: 4000,
      "aria-label": "Message",
      autocomplete: "off",
      enterkeyhint: "send",
    });
    this.fileInput = h("input", { type: "file", multiple: true, hidden: true, tabindex: -1 });
    this.fileInput.addEventListener("change", () => this.addFiles(this.fileInput.files));
    this.count = h("span", { class: "count", "aria-live": "polite" });
    this.sendButton = iconButton("send", "Send", () => this.send(), { class: "icon-button send" });
    this.box = h(
      "div",
      { class: "composer" },
      this.replyBar,
      this.chips,
      h(
        "div",
        { class: "composer-row" },
        iconButton("attach", "Attach files", () => this.fileInput.click()),
        this.input,
        this.count,
        iconButton("slash", "Commands", () => this.startCommand()),
        iconButton("at", "Mention the bot", () => this.mentionBot()),
        this.sendButton,
      ),
      this.fileInput,
    );
    footer.append(h("div", { class: "composer-frame" }, this.popup, this.formSlot, this.box));
  }

  enter() {
    this.form.close();
    this.drawPlaceholder();
    this.picker.close();
  }

  drawPlaceholder() {
    const channel = currentChannel();
    if (!channel) return;
    const where =
      channel.kind === "dm" ? nameOf(state.botUser ?? { name: "the bot" }) : `#${channel.name}`;
    this.input.placeholder = state.botOnline
      ? `Message ${where}`
      : `Message ${where} (the bot is offline)`;
  }

  focus() {
    this.input.focus();
  }

  changed() {
    this.grow();
    const length = this.input.value.length;
    this.count.textContent = length >= COUNT_FROM_CHARS ? String(CHARS_MAX - length) : "";
    this.count.classList.toggle("over", length > CHARS_MAX);
    this.complete();
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  /** Offer commands after a leading slash, people after an at sign. */
  complete() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    const slash = before.match(/^\/([^\n]*)$/);
    const at = before.match(/(?:^|\s)@([\p{L}\p{N}_]*)$/u);
    if (slash) this.offerCommands(slash[1]);
    else if (at) this.offerPeople(at[1]);
    else this.picker.close();
  }

  offerCommands(typed) {
    refreshIfOlder(COMMANDS_FRESH_MS).then(
      (fresh) => fresh && this.complete(),
      () => {},
    );
    const found = matchCommands(typed);
    const entries = found.map((command) => ({
      title: `/${command.path}`,
      detail: command.description,
      options: command.options.map((one) => ({ name: one.name, required: one.required })),
      choose: () => this.openForm(command),
    }));
    const hidden = leafCommands().some((one) => one.hidden);
    this.picker.show({
      label: "Commands",
      entries,
      empty: state.commands.length
        ? "No command begins like this."
        : "No commands are registered yet: the bot registers them when it starts.",
      foot: hidden ? "Staff have more: switch the user at the lower left." : null,
    });
  }

  offerPeople(typed) {
    const wanted = typed.toLowerCase();
    const people = [state.botUser, ...state.users].filter(Boolean);
    const found = people.filter((one) => nameOf(one).toLowerCase().startsWith(wanted));
    if (!found.length) return this.picker.close();
    this.picker.show({
      label: "Mention",
      entries: found.map((user) => ({
        title: `@${nameOf(user)}`,
        detail: user.bot ? "the bot" : user.staff ? "staff" : "member",
        choose: () => this.insertMention(user),
      })),
    });
  }

  insertMention(user) {
    const at = this.input.selectionStart;
    const before = this.input.value.slice(0, at).replace(/@[\p{L}\p{N}_]*$/u, "");
    const mark = `@${nameOf(user)} `;
    this.mentions.set(nameOf(user), user.id);
    this.input.value = before + mark + this.input.value.slice(at).trimStart();
    this.input.focus();
    this.input.setSelectionRange((before + mark).length, (before + mark).length);
    this.picker.close();
    this.grow();
  }

  mentionBot(words = "") {
    if (!state.botUser) return toast("The bot has not been seen yet.");
    this.leaveForm();
    const mark = `@${nameOf(state.botUser)} `;
    this.mentions.set(nameOf(state.botUser), state.botUser.id);
    if (!this.input.value.startsWith(mark.trim())) this.input.value = mark + this.input.value;
    this.input.value += words;
    this.input.focus();
    this.changed();
  }

  startCommand() {
    this.leaveForm();
    this.input.value = "/";
    this.input.focus();
    this.changed();
  }

  key(event) {
    if (this.picker.key(event)) return;
    if (event.key === "Escape" && state.replyTo) return setReply(null);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.send();
  }

  paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.addFiles(files);
  }

  allowDrops() {
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer?.files.length) this.addFiles(event.dataTransfer.files);
    });
  }

  addFiles(list) {
    const room = FILES_MAX - this.files.length;
    if (list.length > room) toast(`A message carries at most ${FILES_MAX} files.`);
    this.files.push(...[...list].slice(0, room));
    this.fileInput.value = "";
    this.drawChips();
    this.input.focus();
  }

  async drawChips() {
    this.chips.hidden = this.files.length === 0;
    replace(
      this.chips,
      this.files.map((file) => this.chip(file)),
    );
  }

  chip(file) {
    const remove = () => {
      this.files = this.files.filter((one) => one !== file);
      this.drawChips();
    };
    const mark = h("span", { class: "chip-mark" }, icon("file"));
    if (file.type.startsWith("image/")) {
      dataAddress(file).then((src) => replace(mark, h("img", { src, alt: "" })));
    }
    return h(
      "div",
      { class: "chip" },
      mark,
      h("span", { class: "chip-words" }, file.name, h("small", {}, formatBytes(file.size))),
      iconButton("close", `Remove ${file.name}`, remove),
    );
  }

  drawReply() {
    const message = state.replyTo;
    this.replyBar.hidden = !message;
    if (!message) return;
    replace(
      this.replyBar,
      icon("reply"),
      h(
        "span",
        { class: "reply-words" },
        "Replying to ",
        h("strong", {}, nameOf(findUser(message.author?.id) ?? message.author)),
        ` · ${plainExcerpt(message)}`,
      ),
      iconButton("close", "Do not reply", () => setReply(null)),
    );
    this.input.focus();
  }

  /** The text with each picked or plainly written @name as Discord sends it. */
  encoded() {
    const names = new Map(
      [state.botUser, ...state.users].filter(Boolean).map((one) => [nameOf(one), one.id]),
    );
    for (const [name, id] of this.mentions) names.set(name, id);
    const longest = [...names.keys()].sort((one, other) => other.length - one.length);
    return longest.reduce(
      (text, name) =>
        text.replaceAll(
          new RegExp(`(^|[\\s(])@${escape(name)}(?![\\p{L}\\p{N}_])`, "gu"),
          `$1<@${names.get(name)}>`,
        ),
      this.input.value.trim(),
    );
  }

  async send() {
    const content = this.encoded();
    if (!content && !this.files.length) return;
    if (this.refused(content)) return;
    const files = this.files;
    const draft = this.input.value;
    const reply = state.replyTo;
    this.reset();
    try {
      await api.send({
        user_id: state.me.id,
        channel_id: state.channelId,
        content,
        ...(reply ? { reply_to: reply.id } : {}),
        ...(files.length ? { attachments: await Promise.all(files.map(encodeFile)) } : {}),
      });
    } catch (error) {
      this.restore(draft, files, reply);
      toast(explain(error), "bad");
    }
  }

  refused(content) {
    if (content.startsWith("/") && matchCommands(content.slice(1)).length) {
      toast("Choose the command from the list, so that its options can be filled in.");
      this.complete();
      return true;
    }
    if (content.length <= CHARS_MAX) return false;
    toast(`A message has at most ${CHARS_MAX} characters.`, "bad");
    return true;
  }

  reset() {
    this.input.value = "";
    this.files = [];
    this.mentions.clear();
    setReply(null);
    this.drawChips();
    this.changed();
  }

  restore(draft, files, reply) {
    if (!this.input.value) this.input.value = draft;
    this.files = files;
    setReply(reply);
    this.drawChips();
    this.changed();
  }

  async openCommand(path, values = {}) {
    await refreshIfOlder(COMMANDS_FRESH_MS).catch(() => {});
    const command = leafCommands().find((one) => one.path === path && !one.hidden);
    if (command) this.openForm(command, values);
    else toast(`/${path} is not registered (yet).`);
  }

  openForm(command, values = {}) {
    this.picker.close();
    this.input.value = "";
    this.grow();
    this.box.hidden = true;
    this.formSlot.hidden = false;
    this.form.open(command, values);
  }

  leaveForm() {
    this.form.clear();
    this.formSlot.hidden = true;
    this.box.hidden = false;
    this.input.focus();
  }
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
