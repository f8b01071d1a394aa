// A list above a text box, steered with the arrow keys while the focus stays in the box.

import { h } from "./dom.js";

const LEAVE_AFTER_MS = 150;

let serial = 0;

export class Picker {
  /** `input` is the text box, `slot` the element the list is shown in. */
  constructor(input, slot) {
    this.input = input;
    this.slot = slot;
    this.id = `picker-${(serial += 1)}`;
    this.entries = [];
    this.active = 0;
    // A press on a row takes the focus for a moment; only then is it known where it went.
    input.addEventListener("blur", () => setTimeout(() => this.leave(), LEAVE_AFTER_MS));
    input.setAttribute("aria-controls", this.id);
    input.setAttribute("aria-autocomplete", "list");
  }

  leave() {
    if (document.activeElement !== this.input) this.close();
  }

  get isOpen() {
    return this.slot.childElementCount > 0;
  }

  /** `entries`: [{title, detail, options?, choose}]; `empty` and `foot` are lines of words. */
  show({ label, entries, empty, foot }) {
    const kept = this.isOpen ? this.entries[this.active]?.title : null;
    this.entries = entries;
    this.active = Math.max(
      0,
      entries.findIndex((one) => one.title === kept),
    );
    const list = h(
      "div",
      { class: "picker-list", role: "listbox", id: this.id, "aria-label": label },
      entries.map((entry, index) => this.row(entry, index)),
    );
    const panel = h(
      "div",
      { class: "picker" },
      h("div", { class: "picker-head" }, label),
      entries.length ? list : h("div", { class: "picker-empty" }, empty ?? "Nothing found."),
      foot && h("div", { class: "picker-foot" }, foot),
    );
    this.slot.replaceChildren(panel);
    this.mark();
  }

  row(entry, index) {
    const element = h(
      "div",
      { class: "picker-row", role: "option", id: `${this.id}-${index}` },
      h(
        "span",
        { class: "picker-title" },
        entry.title,
        entry.options?.map((one) =>
          h("span", { class: one.required ? "picker-option required" : "picker-option" }, one.name),
        ),
      ),
      entry.detail && h("span", { class: "picker-detail" }, entry.detail),
    );
    // pointerdown, because the text box must not lose the focus first.
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.active = index;
    });
    element.addEventListener("click", () => entry.choose());
    return element;
  }

  mark() {
    this.slot.querySelectorAll("[role=option]").forEach((element, index) => {
      const active = index === this.active;
      element.setAttribute("aria-selected", String(active));
      if (active) element.scrollIntoView({ block: "nearest" });
    });
    if (this.entries.length) {
      this.input.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    } else this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    this.slot.replaceChildren();
    this.entries = [];
    this.input.removeAttribute("aria-activedescendant");
  }

  /** Whether the key was ours. */
  key(event) {
    if (!this.isOpen || event.isComposing) return false;
    if (event.key === "Escape") this.close();
    else if (!this.entries.length) return false;
    else if (event.key === "ArrowDown") this.move(1);
    else if (event.key === "ArrowUp") this.move(-1);
    else if (event.key === "Enter" || event.key === "Tab") this.entries[this.active].choose();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  move(step) {
    this.active = (this.active + step + this.entries.length) % this.entries.length;
    this.mark();
  }
}
