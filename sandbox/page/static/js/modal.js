// Forms that a bot opens in answer to a press or a command.

import { api, explain } from "./api.js";
import { selectField } from "./components.js";
import { h, icon, iconButton } from "./dom.js";
import { markdown } from "./markdown.js";
import { follow, on, state } from "./state.js";

const ROW = 1;
const TEXT_INPUT = 4;
const TEXT_DISPLAY = 10;
const LABEL = 18;
const PARAGRAPH = 2;

let serial = 0;

export function watchModals() {
  on("modal", ({ interaction_id: id, modal }) => modal && show(id, modal));
}

function show(interactionId, modal) {
  const fields = [];
  const parts = (modal.components ?? []).map((part) => build(part, fields));
  const error = h("div", { class: "form-error", role: "alert" });
  const dialog = h("dialog", { class: "dialog", "aria-label": modal.title });
  const close = () => dialog.close();
  const form = h(
    "form",
    { class: "dialog-form", novalidate: true },
    h("div", { class: "dialog-body" }, parts),
    h(
      "div",
      { class: "dialog-foot" },
      error,
      h("button", { type: "button", class: "button button-secondary", onclick: close }, "Cancel"),
      h("button", { type: "submit", class: "button button-primary" }, "Submit"),
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = fields.map((one) => one.check()).find(Boolean);
    if (problem) {
      error.textContent = problem;
      return;
    }
    if (await submit(interactionId, modal, fields, error)) close();
  });
  dialog.append(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", {}, modal.title),
      iconButton("close", "Close", close),
    ),
    form,
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  fields[0]?.input.focus();
}

async function submit(interactionId, modal, fields, error) {
  try {
    const { interaction_id: id } = await api.modal({
      user_id: state.me.id,
      interaction_id: interactionId,
      values: Object.fromEntries(fields.map((one) => [one.customId, one.value()])),
    });
    follow(id, { kind: "modal", label: modal.title });
    return true;
  } catch (problem) {
    error.textContent = explain(problem);
    return false;
  }
}

function build(part, fields) {
  if (part.type === TEXT_DISPLAY) return markdown(part.content ?? "");
  if (part.type === ROW) return part.components.map((one) => field(one, one.label, "", fields));
  if (part.type === LABEL) return field(part.component, part.label, part.description, fields);
  return null;
}

function field(part, label, about, fields) {
  if (!part) return null;
  const id = `modal-${(serial += 1)}`;
  const made = part.type === TEXT_INPUT ? textInput(part, label) : choice(part, label);
  made.input.id = id;
  fields.push(made);
  return h(
    "div",
    { class: "field field-wide" },
    h(
      "label",
      { for: id },
      label,
      part.required === false && h("span", { class: "optional-mark" }, "optional"),
    ),
    about && h("small", {}, about),
    made.frame ?? made.input,
  );
}

function textInput(part, label) {
  const long = part.style === PARAGRAPH;
  const input = h(long ? "textarea" : "input", {
    rows: long ? 5 : undefined,
    type: long ? undefined : "text",
    placeholder: part.placeholder,
    maxlength: part.max_length,
    value: part.value ?? "",
  });
  const check = () => {
    const length = input.value.length;
    if (part.required !== false && length === 0) return `${label} is required.`;
    if (length && length < (part.min_length ?? 0)) {
      return `${label} needs at least ${part.min_length} characters.`;
    }
    return null;
  };
  return { input, customId: part.custom_id, value: () => input.value, check };
}

function choice(part, label) {
  const { field: input, values, many } = selectField(part);
  const needed = part.required === false ? 0 : (part.min_values ?? 1);
  const check = () => (values().length < needed ? `${label} is required.` : null);
  const frame = many ? input : h("span", { class: "select-frame" }, input, icon("chevron"));
  return { input, frame, customId: part.custom_id, value: values, check };
}
