// One option of a command as a field, by Discord's option types.

import { h, icon, replace } from "./dom.js";
import { formatBytes } from "./media.js";
import { Picker } from "./picker.js";
import { nameOf, state, visibleChannels } from "./state.js";

const STRING = 3;
const INTEGER = 4;
const BOOLEAN = 5;
const USER = 6;
const CHANNEL = 7;
const ROLE = 8;
const MENTIONABLE = 9;
const NUMBER = 10;
const ATTACHMENT = 11;
// A pause in typing after which suggestions are asked for.
const COMPLETE_AFTER_MS = 180;
// What discord.py registers where no description was written.
const NO_WORDS = "…";
const LONG_TEXT = new Set(["prompt", "text", "message", "question", "reason"]);

let serial = 0;

/** {element, input, option, value(), check()}; `value()` is undefined while empty. */
export function optionField(option, form, initial) {
  const id = `option-${(serial += 1)}`;
  const field = { option, id, form };
  Object.assign(field, control(field, initial));
  field.check = () => check(field);
  field.element = h(
    "div",
    { class: `field${field.wide ? " field-wide" : ""}` },
    h(
      "label",
      { for: id },
      option.name,
      option.required
        ? h("span", { class: "required-mark" }, "required")
        : h("span", { class: "optional-mark" }, "optional"),
    ),
    field.frame ?? field.input,
    h("small", { id: `${id}-about` }, option.description === NO_WORDS ? "" : option.description),
  );
  field.input.setAttribute("aria-describedby", `${id}-about`);
  if (option.required) field.input.setAttribute("aria-required", "true");
  return field;
}

function control(field, initial) {
  const { option } = field;
  if (option.choices?.length) return choice(field, option.choices, initial);
  switch (option.type) {
    case INTEGER:
    case NUMBER:
      return option.autocomplete ? completed(field, initial) : number(field, initial);
    case BOOLEAN:
      return choice(
        field,
        [
          { name: "yes", value: true },
          { name: "no", value: false },
        ],
        initial,
      );
    case USER:
    case MENTIONABLE:
      return choice(field, people(), initial);
    case CHANNEL:
      return choice(
        field,
        visibleChannels().map((one) => ({ name: `#${one.name}`, value: one.id })),
      );
    case ROLE:
      return choice(
        field,
        (state.guild.roles ?? []).map((one) => ({ name: one.name, value: one.id })),
      );
    case ATTACHMENT:
      return file(field);
    default:
      return option.autocomplete ? completed(field, initial) : text(field, initial);
  }
}

function people() {
  const all = state.botUser ? [...state.users, state.botUser] : state.users;
  return all.map((user) => ({ name: nameOf(user), value: user.id }));
}

const words = (input) => (input.value.trim() === "" ? undefined : input.value.trim());

function text(field, initial) {
  const { option, id } = field;
  const wide = LONG_TEXT.has(option.name);
  const input = wide ? h("textarea", { id, rows: 2 }) : h("input", { id, type: "text" });
  input.autocomplete = "off";
  if (option.max_length) input.maxLength = option.max_length;
  input.value = initial ?? "";
  return { input, wide, value: () => words(input) };
}

function number({ option, id }, initial) {
  const whole = option.type === INTEGER;
  const input = h("input", {
    id,
    type: "number",
    inputmode: whole ? "numeric" : "decimal",
    step: whole ? 1 : "any",
    min: option.min_value,
    max: option.max_value,
    value: initial ?? "",
  });
  return { input, value: () => (input.value === "" ? undefined : Number(input.value)) };
}

function choice({ option, id }, choices, initial) {
  const input = h(
    "select",
    { id, class: "select" },
    h("option", { value: "" }, option.required ? "Choose…" : "–"),
    choices.map((one, index) => h("option", { value: index }, one.name)),
  );
  const chosen = choices.findIndex((one) => one.value === initial);
  input.value = chosen === -1 ? "" : String(chosen);
  const frame = h("span", { class: "select-frame" }, input, icon("chevron"));
  const value = () => (input.value === "" ? undefined : choices[Number(input.value)].value);
  return { input, frame, value };
}

function file({ id }) {
  const input = h("input", { id, type: "file", class: "file-input" });
  const shown = h("span", { class: "file-choice" }, icon("attach"), "Choose a file");
  input.addEventListener("change", () => {
    const chosen = input.files[0];
    const said = chosen ? `${chosen.name} · ${formatBytes(chosen.size)}` : "Choose a file";
    replace(shown, icon(chosen ? "file" : "attach"), h("span", {}, said));
  });
  return {
    input,
    frame: h("span", { class: "file-frame" }, input, shown),
    value: () => input.files[0],
  };
}

/** A text box whose suggestions the bot itself gives. */
function completed(field, initial) {
  const { option, id, form } = field;
  const input = h("input", { id, type: "text", autocomplete: "off", role: "combobox" });
  const slot = h("span", { class: "popup-slot popup-field" });
  const picker = new Picker(input, slot);
  let known = new Map();
  let timer = 0;
  let asked = 0;
  input.value = initial ?? "";
  const choose = (one) => {
    input.value = one.name;
    known.set(one.name, one.value);
    picker.close();
  };
  const ask = async () => {
    const turn = (asked += 1);
    try {
      const choices = await form.complete({ name: option.name, typed: input.value });
      if (turn !== asked || document.activeElement !== input) return;
      known = new Map([...known, ...choices.map((one) => [one.name, one.value])]);
      picker.show({
        label: `Suggestions for ${option.name}`,
        entries: choices.map((one) => ({ title: one.name, choose: () => choose(one) })),
        empty: "No suggestions.",
      });
    } catch {
      if (turn === asked)
        picker.show({ label: option.name, entries: [], empty: "Loading options failed." });
    }
  };
  input.addEventListener("focus", ask);
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, COMPLETE_AFTER_MS);
  });
  input.addEventListener("keydown", (event) => picker.key(event));
  input.addEventListener("blur", () => (asked += 1));
  const value = () => {
    const typed = words(input);
    if (typed === undefined) return undefined;
    const meant = known.get(input.value) ?? typed;
    return option.type === STRING ? String(meant) : Number(meant);
  };
  return { input, frame: h("span", { class: "complete-frame" }, input, slot), value };
}

function check(field) {
  const { option, input } = field;
  const value = field.value();
  const bad = (why) => ({ field, text: `${option.name} ${why}` });
  if (value === undefined) {
    // A number box hides what it cannot read; `badInput` tells it from an empty one.
    if (input.validity?.badInput) return bad("needs a number.");
    return option.required ? bad("is required.") : null;
  }
  if (option.type === INTEGER && !Number.isInteger(value)) return bad("needs a whole number.");
  if (option.type === NUMBER && Number.isNaN(value)) return bad("needs a number.");
  if (option.min_value !== undefined && value < option.min_value)
    return bad(`is at least ${option.min_value}.`);
  if (option.max_value !== undefined && value > option.max_value)
    return bad(`is at most ${option.max_value}.`);
  if (option.min_length !== undefined && value.length < option.min_length) {
    return bad(`needs at least ${option.min_length} characters.`);
  }
  return null;
}
