// Building elements without ever parsing a string as HTML: text stays text.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  at: "M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0Zm0 0v1.5a2.5 2.5 0 0 0 5 0V12a9 9 0 1 0-3.6 7.2",
  attach:
    "M20 11.5 12.2 19a4.6 4.6 0 0 1-6.5-6.5l8-7.8a3 3 0 0 1 4.3 4.3l-8 7.7" +
    "a1.5 1.5 0 0 1-2.1-2.1l7.2-7",
  bot:
    "M12 4v3M7 7h10a3 3 0 0 1 3 3v6a3 3 0 0 1-3 3H7a3 3 0 0 1-3-3v-6a3 3 0 0 1 3-3Z" +
    "M9 12v2M15 12v2",
  check: "m5 12.5 4.5 4.5L19 7.5",
  chevron: "m8 10 4 4 4-4",
  close: "M6 6l12 12M18 6 6 18",
  coin:
    "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16Z" +
    "M14.5 9.5A3 3 0 0 0 9 11c0 2 1.2 3.5 3 3.5a3 3 0 0 0 2.5-1.2",
  copy: "M9 9h10v11H9zM5 15V4h10",
  down: "M12 5v14M6 13l6 6 6-6",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  hash: "M9 4 7 20M17 4l-2 16M4 9h17M3 15h17",
  help:
    "M9.2 9a3 3 0 1 1 4.3 2.7c-.9.5-1.5 1.1-1.5 2.3M12 17.6v.1" +
    "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  menu: "M4 7h16M4 12h16M4 17h16",
  message: "M4 5h16v11H9l-5 4z",
  more:
    "M4.7 12a.8.8 0 1 0 1.6 0 .8.8 0 1 0-1.6 0M11.2 12a.8.8 0 1 0 1.6 0 .8.8 0 1 0-1.6 0" +
    "M17.7 12a.8.8 0 1 0 1.6 0 .8.8 0 1 0-1.6 0",
  plus: "M12 5v14M5 12h14",
  reply: "M9 7 4 12l5 5M4 12h9a7 7 0 0 1 7 7",
  send: "M5 12 4 4l17 8-17 8zM5 12h8",
  slash: "M15 4 9 20",
  thread: "M5 5v6a4 4 0 0 0 4 4h10M15 11l4 4-4 4",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  warn: "M12 4 2.5 20h19zM12 10v4M12 17v.1",
};

/** An element: `h("button", {class: "x", onclick: fn, "aria-label": "…"}, child, …)`. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  add(element, children);
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === "class") element.className = value;
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "vars") setVariables(element, value);
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "value" || name === "checked") element[name] = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

// The policy forbids style attributes; custom properties set from here are allowed.
function setVariables(element, variables) {
  for (const [name, value] of Object.entries(variables)) {
    element.style.setProperty(`--${name}`, String(value));
  }
}

/** Append nested lists of nodes and strings; empty values are skipped. */
export function add(parent, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

export function replace(parent, ...children) {
  parent.replaceChildren();
  return add(parent, children);
}

/** A line icon in the colour of the text around it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onclick, props = {}) {
  return h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props },
    icon(name),
  );
}

/** A popover under `anchor` that closes on Escape, on a press outside, or by `close()`. */
export function popover(anchor, panel, { onclose } = {}) {
  const close = () => {
    document.removeEventListener("pointerdown", outside, true);
    document.removeEventListener("keydown", escape, true);
    panel.remove();
    anchor.setAttribute("aria-expanded", "false");
    onclose?.();
  };
  const outside = (event) => {
    if (!panel.contains(event.target) && !anchor.contains(event.target)) close();
  };
  const escape = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
    anchor.focus();
  };
  document.addEventListener("pointerdown", outside, true);
  document.addEventListener("keydown", escape, true);
  anchor.setAttribute("aria-expanded", "true");
  anchor.parentElement.append(panel);
  return close;
}

/** A short note below the header; it leaves by itself. */
export function toast(text, kind = "info") {
  let shelf = document.querySelector(".toasts");
  if (!shelf) {
    shelf = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(shelf);
  }
  const note = h("div", { class: `toast toast-${kind}` }, text);
  shelf.append(note);
  setTimeout(() => note.remove(), 5000);
}
