// Discord's inline markdown as a tree. Pure: text in, plain nodes out.
// A node is {type, …}; containers have `children`.

const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}_]/u;
// Delimiters in the order they are tried: the longer mark first.
const MARKS = [
  ["**", "strong"],
  ["__", "underline"],
  ["~~", "strike"],
  ["||", "spoiler"],
  ["*", "em"],
  ["_", "em"],
];
// Deeper nesting than this is noise, and a bound on recursion.
const DEPTH_MAX = 12;

const SPECIAL = [
  [/<@!?(\d{1,20})>/y, (m) => ({ type: "user", id: m[1] })],
  [/<@&(\d{1,20})>/y, (m) => ({ type: "role", id: m[1] })],
  [/<#(\d{1,20})>/y, (m) => ({ type: "channel", id: m[1] })],
  [/<\/([^:>\n]{1,100}):(\d{1,20})>/y, (m) => ({ type: "command", name: m[1], id: m[2] })],
  [
    /<t:(-?\d{1,13})(?::([tTdDfFRsS]))?>/y,
    (m) => ({ type: "time", at: +m[1], style: m[2] ?? "f" }),
  ],
  [/<(a?):(\w{1,40}):(\d{1,20})>/y, (m) => ({ type: "emoji", name: m[2] })],
  [/<(https?:\/\/[^\s<>]+)>/y, (m) => link(m[1], [text(m[1])])],
];

const text = (value) => ({ type: "text", value });
const link = (url, children) => ({ type: "link", url, children });

export function parseInline(source, depth = 0) {
  const nodes = [];
  let plain = "";
  let at = 0;
  const push = (node, next) => {
    if (plain) nodes.push(text(plain));
    plain = "";
    nodes.push(node);
    at = next;
  };
  while (at < source.length) {
    const char = source[at];
    if (char === "\\" && PUNCTUATION.test(source[at + 1] ?? "")) {
      plain += source[at + 1];
      at += 2;
      continue;
    }
    const found = depth < DEPTH_MAX ? match(source, at, depth) : null;
    if (found) push(found.node, found.next);
    else {
      plain += char;
      at += 1;
    }
  }
  if (plain) nodes.push(text(plain));
  return nodes;
}

function match(source, at, depth) {
  switch (source[at]) {
    case "`":
      return code(source, at);
    case "<":
      return special(source, at);
    case "[":
      return masked(source, at, depth);
    case "h":
      return address(source, at);
    case "@":
      return everyone(source, at);
    case "*":
    case "_":
    case "~":
    case "|":
      return emphasis(source, at, depth);
    default:
      return null;
  }
}

function runLength(source, at, char) {
  let end = at;
  while (source[end] === char) end += 1;
  return end - at;
}

function code(source, at) {
  const length = runLength(source, at, "`");
  const mark = "`".repeat(length);
  let close = source.indexOf(mark, at + length);
  while (close !== -1 && runLength(source, close, "`") !== length) {
    close = source.indexOf(mark, close + runLength(source, close, "`"));
  }
  if (close === -1) return null;
  let value = source.slice(at + length, close);
  if (/^ .* $/s.test(value) && value.trim()) value = value.slice(1, -1);
  return { node: { type: "code", value }, next: close + length };
}

function special(source, at) {
  for (const [pattern, build] of SPECIAL) {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found) return { node: build(found), next: pattern.lastIndex };
  }
  return null;
}

function masked(source, at, depth) {
  const pattern =
    /\[((?:\\.|[^\]\\])+)\]\(<?(https?:\/\/(?:[^\s()<>]|\([^\s()<>]*\))+)>?(?:\s+"[^"\n]*")?\)/y;
  pattern.lastIndex = at;
  const found = pattern.exec(source);
  if (!found) return null;
  return { node: link(found[2], parseInline(found[1], depth + 1)), next: pattern.lastIndex };
}

function address(source, at) {
  if (at > 0 && WORD.test(source[at - 1])) return null;
  const pattern = /https?:\/\/[^\s<>]+/y;
  pattern.lastIndex = at;
  const found = pattern.exec(source)?.[0];
  if (!found) return null;
  const url = trimAddress(found);
  return { node: link(url, [text(url)]), next: at + url.length };
}

// A full stop after an address belongs to the sentence, a closing bracket to its opening one.
function trimAddress(found) {
  let url = found.replace(/[.,:;!?'"*_~|]+$/, "");
  while (url.endsWith(")") && url.split(")").length > url.split("(").length) url = url.slice(0, -1);
  return url;
}

function everyone(source, at) {
  const pattern = /@(everyone|here)\b/y;
  pattern.lastIndex = at;
  const found = pattern.exec(source);
  return found && { node: { type: "everyone", name: found[1] }, next: pattern.lastIndex };
}

function emphasis(source, at, depth) {
  for (const [mark, type] of MARKS) {
    if (!source.startsWith(mark, at) || !canOpen(source, at, mark)) continue;
    const close = findClose(source, at + mark.length, mark);
    if (close === -1) continue;
    const children = parseInline(source.slice(at + mark.length, close), depth + 1);
    return { node: { type, children }, next: close + mark.length };
  }
  return null;
}

function canOpen(source, at, mark) {
  if (mark === "*") return /\S/.test(source[at + 1] ?? " ");
  if (mark === "_") return !(at > 0 && WORD.test(source[at - 1]));
  return true;
}

function findClose(source, from, mark) {
  const char = mark[0];
  let at = from;
  while (at < source.length) {
    if (source[at] === "\\") at += 2;
    else if (source[at] === "`") at = code(source, at)?.next ?? at + runLength(source, at, "`");
    else if (source[at] !== char) at += 1;
    else {
      const length = runLength(source, at, char);
      const close = closing(source, at, length, mark);
      if (close > from) return close;
      at += length;
    }
  }
  return -1;
}

// Where inside a run of `length` equal characters at `at` the mark closes, or -1.
function closing(source, at, length, mark) {
  if (mark.length === 2) return length >= 2 ? at + length - 2 : -1;
  if (length === 2) return -1;
  const close = at + length - 1;
  if (mark === "*" && /\s/.test(source[at - 1])) return -1;
  if (mark === "_" && WORD.test(source[close + 1] ?? "")) return -1;
  return close;
}
