// The options of a chosen command as fields; Enter sends, Escape leaves.

import { api, encodeFile, explain } from "./api.js";
import { h, icon, iconButton, replace } from "./dom.js";
import { optionField } from "./option-field.js";
import { follow, state } from "./state.js";

export class CommandForm {
  constructor(slot, onleave) {
    this.slot = slot;
    this.onleave = onleave;
    this.fields = [];
  }

  /** Show the fields of `command` (see commands.js), with `values` filled in by option name. */
  open(command, values = {}) {
    this.command = command;
    this.fields = command.options.map((option) => optionField(option, this, values[option.name]));
    this.error = h("div", { class: "form-error", role: "alert" });
    const form = h(
      "form",
      { class: "command-form", "aria-label": `Command ${command.path}`, novalidate: true },
      h(
        "div",
        { class: "form-head" },
        h("span", { class: "command-name" }, `/${command.path}`),
        h("span", { class: "form-about" }, command.description),
        iconButton("close", "Leave the command", () => this.onleave()),
      ),
      this.fields.length > 0 &&
        h(
          "div",
          { class: "form-fields" },
          this.fields.map((one) => one.element),
        ),
      h(
        "div",
        { class: "form-foot" },
        this.error,
        h("button", { type: "submit", class: "button button-primary" }, icon("send"), "Send"),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    form.addEventListener("keydown", (event) => this.key(event));
    replace(this.slot, form);
    this.focusFirst();
  }

  focusFirst() {
    const empty = this.fields.find((one) => one.value() === undefined) ?? this.fields[0];
    (empty?.input ?? this.slot.querySelector("button[type=submit]")).focus();
  }

  clear() {
    this.fields = [];
    this.command = null;
    this.slot.replaceChildren();
  }

  close() {
    if (this.command) this.onleave();
  }

  key(event) {
    if (event.defaultPrevented) return;
    if (event.key === "Escape") this.onleave();
    const isText = event.target.tagName === "TEXTAREA";
    if (event.key === "Enter" && isText && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    }
  }

  /** Values by option name, as typed so far; files stand apart. */
  values() {
    const options = {};
    for (const field of this.fields) {
      const value = field.value();
      if (value !== undefined && !(value instanceof File)) options[field.option.name] = value;
    }
    return options;
  }

  async complete(focused) {
    const { choices } = await api.autocomplete({
      user_id: state.me.id,
      channel_id: state.channelId,
      name: this.command.path,
      options: { ...this.values(), [focused.name]: focused.typed },
      focused: focused.name,
    });
    return choices ?? [];
  }

  async submit() {
    const problem = this.fields.map((one) => one.check()).find(Boolean);
    if (problem) return this.fail(problem.text, problem.field);
    const files = this.fields.filter((one) => one.value() instanceof File);
    const path = this.command.path;
    try {
      const attachments = {};
      for (const field of files) attachments[field.option.name] = await encodeFile(field.value());
      const { interaction_id: id } = await api.command({
        user_id: state.me.id,
        channel_id: state.channelId,
        name: path,
        options: this.values(),
        ...(files.length ? { attachments } : {}),
      });
      follow(id, { kind: "command", label: `/${path}` });
      this.onleave();
    } catch (error) {
      this.fail(explain(error));
    }
  }

  fail(text, field) {
    this.error.textContent = text;
    field?.input.focus();
  }
}
