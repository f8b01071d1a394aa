// The markdown tree as DOM. User text only ever becomes text nodes.

import { blockCode } from "./code.js";
import { h } from "./dom.js";
import { parseBlocks } from "./blocks.js";
import { emit, findUser, nameOf, state } from "./state.js";
import { timeElement } from "./time.js";

const TAGS = { strong: "strong", em: "em", underline: "u", strike: "s" };
// Discord gives the headings of a message no place in the page's outline.
const HEADING_LEVEL = { 1: "md-h1", 2: "md-h2", 3: "md-h3" };

/** `source` rendered into a new element. */
export function markdown(source, className = "md") {
  return h("div", { class: className }, parseBlocks(source).map(block));
}

function block(node) {
  switch (node.type) {
    case "paragraph":
      return h("div", { class: "md-p" }, node.children.map(inline));
    case "heading":
      return h(
        "div",
        { class: HEADING_LEVEL[node.level], role: "heading", "aria-level": node.level + 2 },
        node.children.map(inline),
      );
    case "subtext":
      return h("div", { class: "md-small" }, node.children.map(inline));
    case "quote":
      return h("blockquote", { class: "md-quote" }, node.children.map(block));
    case "list":
      return list(node);
    case "fence":
      return blockCode(node.value, node.language);
    default:
      return h("div", { class: "md-gap" });
  }
}

function list(node) {
  const items = node.items.map((item) =>
    h("li", {}, h("span", { class: "md-p" }, item.children.map(inline)), item.lists.map(list)),
  );
  if (!node.ordered) return h("ul", { class: "md-list" }, items);
  return h("ol", { class: "md-list", start: node.start }, items);
}

function inline(node) {
  if (TAGS[node.type]) return h(TAGS[node.type], {}, node.children.map(inline));
  switch (node.type) {
    case "text":
      return node.value;
    case "code":
      return h("code", { class: "md-code" }, node.value);
    case "link":
      return anchor(node.url, node.children.map(inline));
    case "spoiler":
      return spoiler(node);
    case "user":
      return mention(`@${nameOf(findUser(node.id))}`, node.id === state.me?.id);
    case "role":
      return mention("@role");
    case "everyone":
      return mention(`@${node.name}`);
    case "channel":
      return channel(node.id);
    case "command":
      return h(
        "button",
        { type: "button", class: "mention", onclick: () => emit("command", node.name) },
        `/${node.name}`,
      );
    case "time":
      return timeElement(node.at * 1000, node.style);
    default:
      return `:${node.name}:`;
  }
}

export function anchor(url, children) {
  if (!/^https?:/i.test(url)) return children;
  return h(
    "a",
    { href: url, target: "_blank", rel: "noopener noreferrer nofollow", title: url },
    children,
  );
}

function mention(name, isMe = false) {
  return h("span", { class: isMe ? "mention mention-me" : "mention" }, name);
}

function channel(id) {
  const known = state.channels.find((one) => one.id === id);
  if (!known) return mention("#unknown");
  const onclick = () => emit("open-channel", id);
  return h("button", { type: "button", class: "mention", onclick }, `#${known.name}`);
}

function spoiler(node) {
  const content = h("span", { class: "spoiler-text", "aria-hidden": "true" });
  content.append(...node.children.map(inline));
  const cover = h(
    "span",
    { class: "spoiler", role: "button", tabindex: 0, "aria-label": "Spoiler, press to show" },
    content,
  );
  const show = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    if (!cover.hasAttribute("role")) return;
    event.preventDefault();
    cover.classList.add("spoiler-open");
    for (const name of ["role", "tabindex", "aria-label"]) cover.removeAttribute(name);
    content.removeAttribute("aria-hidden");
  };
  cover.addEventListener("click", show);
  cover.addEventListener("keydown", show);
  return cover;
}
