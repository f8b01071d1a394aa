// Message components, both versions: rows of buttons and selects, containers, sections, galleries.

import { explain, api } from "./api.js";
import { h, icon, toast } from "./dom.js";
import { markdown } from "./markdown.js";
import { fileCard, gallery, localAddress, picture, resolveMedia } from "./media.js";
import { follow, nameOf, state, visibleChannels } from "./state.js";

const BUTTON_STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link" };

const BUILDERS = {
  1: row,
  2: button,
  3: select,
  5: select,
  6: select,
  7: select,
  8: select,
  9: section,
  10: (part) => markdown(part.content ?? ""),
  11: (part, message) =>
    picture(resolveMedia(part.media, message), {
      spoiler: part.spoiler,
      className: "picture thumbnail",
      description: part.description,
    }),
  12: (part, message) => gallery(part.items ?? [], message),
  13: (part, message) =>
    fileCard({
      ...resolveMedia(part.file, message),
      ...present({ filename: part.name, size: part.size }),
    }),
  14: separator,
  17: container,
};

const present = (values) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

/** The components of `message`, or nothing when it has none. */
export function components(message) {
  if (!message.components?.length) return null;
  return h(
    "div",
    { class: "components" },
    message.components.map((part) => build(part, message)),
  );
}

function build(part, message) {
  return BUILDERS[part.type]?.(part, message) ?? null;
}

const buildAll = (parts, message) => (parts ?? []).map((part) => build(part, message));

function row(part, message) {
  return h("div", { class: "row" }, buildAll(part.components, message));
}

function container(part, message) {
  const colour = part.accent_color;
  const accent =
    colour === undefined || colour === null ? null : `#${colour.toString(16).padStart(6, "0")}`;
  return h(
    "div",
    {
      class: `card${accent ? " card-accent" : ""}${part.spoiler ? " card-spoiler" : ""}`,
      vars: accent ? { card: accent } : {},
    },
    buildAll(part.components, message),
  );
}

function section(part, message) {
  return h(
    "div",
    { class: "section" },
    h("div", { class: "section-words" }, buildAll(part.components, message)),
    part.accessory && h("div", { class: "section-side" }, build(part.accessory, message)),
  );
}

function separator(part) {
  const size = part.spacing === 2 ? "wide" : "narrow";
  const line = part.divider === false ? " separator-bare" : "";
  return h("div", { class: `separator separator-${size}${line}`, role: "presentation" });
}

function emoji(value) {
  if (!value) return null;
  const shown = value.id ? `:${value.name}:` : value.name;
  return h("span", { class: "button-emoji", "aria-hidden": Boolean(value.id) }, shown);
}

function button(part, message) {
  const style = BUTTON_STYLES[part.style] ?? "secondary";
  const words = [emoji(part.emoji), part.label && h("span", {}, part.label)];
  if (part.style === 5) {
    const href = localAddress(part.url);
    const props = { class: "button button-link", href, target: "_blank", rel: "noopener" };
    return h("a", props, words, h("span", { class: "button-out", "aria-hidden": true }, "↗"));
  }
  const element = h(
    "button",
    {
      type: "button",
      class: `button button-${style}`,
      disabled: part.disabled,
      dataset: { customId: part.custom_id },
      "aria-label": part.label ? undefined : (part.emoji?.name ?? "Button"),
    },
    words,
  );
  element.addEventListener("click", () => press(element, message, part));
  return element;
}

async function press(element, message, part, values) {
  element.classList.add("waiting");
  element.setAttribute("aria-busy", "true");
  try {
    const { interaction_id: id } = await api.component({
      user_id: state.me.id,
      message_id: message.id,
      custom_id: part.custom_id,
      ...(values ? { values } : {}),
    });
    follow(id, { kind: "component", messageId: message.id, customId: part.custom_id });
  } catch (error) {
    release(element);
    toast(explain(error), "bad");
  }
}

function release(element) {
  element.classList.remove("waiting");
  element.removeAttribute("aria-busy");
}

/** Take the waiting mark off the controls of an interaction that has ended. */
export function releaseWaiting(root) {
  for (const element of root.querySelectorAll(".waiting")) release(element);
}

function choicesOf(part) {
  if (part.type === 3) return part.options ?? [];
  if (part.type === 8) {
    return visibleChannels().map((one) => ({ label: `#${one.name}`, value: one.id }));
  }
  if (part.type === 6) return [];
  const people = state.botUser ? [...state.users, state.botUser] : state.users;
  return people.map((user) => ({ label: nameOf(user), value: user.id }));
}

/** A select for a message or a modal: {field, values, many}; `onchoose` gets the chosen values. */
export function selectField(part, onchoose = () => {}) {
  const options = choicesOf(part);
  const chosen = new Set((part.default_values ?? []).map((one) => one.id));
  const isDefault = (option) => Boolean(option.default) || chosen.has(option.value);
  const many = (part.max_values ?? 1) > 1;
  return many ? manyField(part, options, isDefault) : oneField(part, options, isDefault, onchoose);
}

function optionWords(option) {
  return option.emoji?.name && !option.emoji.id
    ? `${option.emoji.name} ${option.label}`
    : option.label;
}

function oneField(part, options, isDefault, onchoose) {
  const field = h(
    "select",
    {
      class: "select",
      disabled: part.disabled,
      dataset: { customId: part.custom_id },
      "aria-label": part.placeholder ?? "Choose",
    },
    h("option", { value: "" }, part.placeholder ?? "Choose…"),
    options.map((option) =>
      h(
        "option",
        { value: option.value, selected: isDefault(option), title: option.description },
        optionWords(option),
        option.description ? ` (${option.description})` : "",
      ),
    ),
  );
  const values = () => [field.value].filter(Boolean);
  field.addEventListener("change", () => onchoose(values()));
  return { field, values, many: false };
}

function manyField(part, options, isDefault) {
  const boxes = options.map((option) => {
    const checked = isDefault(option);
    return h("input", { type: "checkbox", value: option.value, checked, disabled: part.disabled });
  });
  const field = h(
    "div",
    {
      class: "checklist",
      role: "group",
      tabindex: -1,
      dataset: { customId: part.custom_id },
      "aria-label": part.placeholder ?? "Choose",
    },
    part.placeholder && h("div", { class: "quiet" }, part.placeholder),
    boxes.map((box, index) =>
      h(
        "label",
        { class: "checkbox" },
        box,
        optionWords(options[index]),
        options[index].description && h("small", { class: "quiet" }, options[index].description),
      ),
    ),
  );
  const values = () => boxes.filter((box) => box.checked).map((box) => box.value);
  return { field, values, many: true };
}

function select(part, message) {
  const minimum = part.min_values ?? 1;
  const { field, values, many } = selectField(part, (chosen) => {
    if (chosen.length || minimum === 0) press(field, message, part, chosen);
  });
  if (!many) return h("span", { class: "select-frame" }, field, icon("chevron"));
  const send = h("button", { type: "button", class: "button button-secondary" }, "Choose");
  send.addEventListener("click", () => {
    const chosen = values();
    if (chosen.length < minimum || chosen.length > (part.max_values ?? 1)) {
      toast(`Choose ${minimum} to ${part.max_values} entries.`);
    } else press(send, message, part, chosen);
  });
  return h("span", { class: "select-many" }, field, send);
}
