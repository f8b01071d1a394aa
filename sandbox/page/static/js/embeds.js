// Embeds, in their simple form.

import { h } from "./dom.js";
import { anchor, markdown } from "./markdown.js";
import { picture } from "./media.js";
import { timeElement } from "./time.js";

export function embeds(list) {
  return h("div", { class: "embeds" }, list.map(embed));
}

function embed(item) {
  const colour = item.color ?? null;
  const vars = colour === null ? {} : { card: `#${colour.toString(16).padStart(6, "0")}` };
  return h(
    "div",
    { class: `card${colour === null ? "" : " card-accent"}`, vars },
    item.author?.name && h("div", { class: "embed-author" }, item.author.name),
    item.title &&
      h("div", { class: "md-h3" }, item.url ? anchor(item.url, [item.title]) : item.title),
    item.description && markdown(item.description),
    item.fields?.length && h("div", { class: "embed-fields" }, item.fields.map(field)),
    item.image && picture(item.image),
    item.thumbnail && picture(item.thumbnail, { className: "picture thumbnail" }),
    footer(item),
  );
}

function field(item) {
  return h(
    "div",
    { class: item.inline ? "embed-field" : "embed-field embed-field-wide" },
    h("div", { class: "embed-name" }, item.name),
    markdown(item.value ?? ""),
  );
}

function footer(item) {
  if (!item.footer?.text && !item.timestamp) return null;
  return h(
    "div",
    { class: "md-small" },
    item.footer?.text,
    item.footer?.text && item.timestamp ? " · " : "",
    item.timestamp && timeElement(Date.parse(item.timestamp), "f"),
  );
}
