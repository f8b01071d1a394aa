// Fenced code: a language label, a copy button and a light colouring that fits most languages.

import { h, icon } from "./dom.js";

const WORDS = new Set(
  (
    "and as async await break case catch class const continue def default del do elif else enum " +
    "except export extends false final finally fn for from func function global if impl import " +
    "in instanceof interface is lambda let match mod mut new nil none nonlocal not null or " +
    "package pass private protected pub public raise return self static struct super switch " +
    "this throw true try type typeof undefined use var void while with yield select insert " +
    "update delete where join group order by limit create table into values set"
  ).split(" "),
);
// Languages whose comments begin with `#`; elsewhere it may be a colour or a directive.
const HASH_COMMENTS = new Set(
  "py python sh bash zsh rb ruby yaml yml toml ini make makefile dockerfile r perl".split(" "),
);
// Colouring runs on each streamed edit, so a very long block stays plain.
const COLOURED_CHARS_MAX = 8000;
const COPIED_MS = 1600;

const NAMES = { py: "python", js: "javascript", ts: "typescript", sh: "shell", yml: "yaml" };

export function blockCode(value, language) {
  const code = h("code", {}, colour(value, language.toLowerCase()));
  return h(
    "div",
    { class: "fence" },
    h(
      "div",
      { class: "fence-head" },
      h("span", {}, NAMES[language.toLowerCase()] ?? (language || "text")),
      copyButton(value),
    ),
    h("pre", { tabindex: 0, "aria-label": "Code" }, code),
  );
}

function copyButton(value) {
  const label = h("span", {}, "Copy");
  const button = h("button", { type: "button", class: "fence-copy" }, icon("copy"), label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value);
      label.textContent = "Copied";
    } catch {
      label.textContent = "Not allowed";
    }
    setTimeout(() => (label.textContent = "Copy"), COPIED_MS);
  });
  return button;
}

function colour(value, language) {
  if (!language || value.length > COLOURED_CHARS_MAX || language === "text") return [value];
  const hash = HASH_COMMENTS.has(language) ? "#[^\\n]*|" : "";
  const sql = language === "sql" ? "--[^\\n]*|" : "";
  const pattern = new RegExp(
    `(?<comment>${hash}${sql}\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?\\*\\/)` +
      "|(?<string>\"(?:\\\\.|[^\"\\\\\\n])*\"|'(?:\\\\.|[^'\\\\\\n])*'|`(?:\\\\.|[^`\\\\])*`)" +
      "|(?<number>\\b\\d[\\d_]*(?:\\.\\d+)?\\b)|(?<word>[A-Za-z_]\\w*)",
    "g",
  );
  const parts = [];
  let from = 0;
  for (const found of value.matchAll(pattern)) {
    const kind = kindOf(found, value);
    if (!kind) continue;
    parts.push(value.slice(from, found.index), h("span", { class: `code-${kind}` }, found[0]));
    from = found.index + found[0].length;
  }
  parts.push(value.slice(from));
  return parts;
}

function kindOf(found, value) {
  const { comment, string, number, word } = found.groups;
  if (comment) return "comment";
  if (string) return "string";
  if (number) return "number";
  if (WORDS.has(word.toLowerCase())) return "keyword";
  return value[found.index + word.length] === "(" ? "call" : null;
}
