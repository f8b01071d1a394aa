// Discord's block markdown: fences, quotes, headings, lists, small print. Pure.

import { parseInline } from "./inline.js";

const FENCE = /```(?:([\w+#.-]{1,30})\n)?\n?([\s\S]*?)\n?```/g;
const HEADING = /^(#{1,3}) +(.+)$/;
const SUBTEXT = /^-# +(.+)$/;
const ITEM = /^( *)(?:([-*])|(\d{1,9})\.) +(.+)$/;
const QUOTE = /^> (.*)$|^>$/;
const REST_QUOTE = ">>> ";
const INDENT_PER_LEVEL = 2;

/** The blocks of a message, in order. */
export function parseBlocks(source) {
  const blocks = [];
  let from = 0;
  for (const found of source.matchAll(FENCE)) {
    if (!found[2].trim()) continue;
    blocks.push(...parseLines(source.slice(from, found.index).replace(/\n[ \t]*$/, "")));
    blocks.push({ type: "fence", language: found[1] ?? "", value: dedent(found[2]) });
    from = found.index + found[0].length;
    if (source[from] === "\n") from += 1;
  }
  blocks.push(...parseLines(source.slice(from)));
  return blocks;
}

/** The words of `source` on one line, without marks; `name` gives the text of a mention. */
export function plainText(source, name) {
  const words = (node) => {
    if (node.type === "user") return name(node.id);
    if (node.type === "spoiler") return "▒▒▒";
    const inner = [...(node.children ?? []), ...(node.items ?? []), ...(node.lists ?? [])];
    return node.value ?? inner.map(words).join(node.items || node.lists ? " " : "");
  };
  return parseBlocks(source).map(words).join(" ").replace(/\s+/g, " ").trim();
}

// A fence inside a list item carries the item's indentation on each line.
function dedent(code) {
  const lines = code.split("\n");
  const margins = lines.filter((line) => line.trim()).map((line) => line.match(/^ */)[0].length);
  const margin = Math.min(...margins);
  return margin ? lines.map((line) => line.slice(margin)).join("\n") : code;
}

function parseLines(source) {
  if (!source) return [];
  const blocks = [];
  const lines = source.split("\n");
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (line.startsWith(REST_QUOTE)) {
      const rest = [line.slice(REST_QUOTE.length), ...lines.slice(at + 1)].join("\n");
      blocks.push({ type: "quote", children: parseLines(rest) });
      break;
    }
    const taken = quote(lines, at, blocks) || list(lines, at, blocks) || single(line, blocks);
    if (!taken) appendText(blocks, line);
    at += taken || 1;
  }
  return blocks.flatMap(finishText);
}

function quote(lines, at, blocks) {
  const inner = [];
  while (at + inner.length < lines.length) {
    const found = lines[at + inner.length].match(QUOTE);
    if (!found) break;
    inner.push(found[1] ?? "");
  }
  if (inner.length) blocks.push({ type: "quote", children: parseLines(inner.join("\n")) });
  return inner.length;
}

function single(line, blocks) {
  const heading = line.match(HEADING);
  const subtext = line.match(SUBTEXT);
  if (heading) {
    const [, marks, words] = heading;
    blocks.push({ type: "heading", level: marks.length, children: parseInline(words) });
  } else if (subtext) {
    blocks.push({ type: "subtext", children: parseInline(subtext[1]) });
  }
  return heading || subtext ? 1 : 0;
}

function list(lines, at, blocks) {
  const items = [];
  let end = at;
  while (end < lines.length) {
    const found = lines[end].match(ITEM);
    if (found) {
      const level = Math.floor(found[1].length / INDENT_PER_LEVEL);
      items.push({ level, number: found[3] ? +found[3] : null, source: found[4] });
    } else if (items.length && /^ {2,}\S/.test(lines[end])) {
      items.at(-1).source += `\n${lines[end].trim()}`;
    } else break;
    end += 1;
  }
  if (items.length) blocks.push(...nest(items));
  return end - at;
}

// Items that follow each other with deeper indentation become lists inside their parent.
function nest(items) {
  const lists = [];
  let at = 0;
  while (at < items.length) {
    const item = items[at];
    const ordered = item.number !== null;
    let end = at + 1;
    while (end < items.length && items[end].level > item.level) end += 1;
    const entry = {
      children: parseInline(item.source),
      lists: end > at + 1 ? nest(items.slice(at + 1, end)) : [],
    };
    const last = lists.at(-1);
    if (last && last.ordered === ordered) last.items.push(entry);
    else lists.push({ type: "list", ordered, start: item.number ?? 1, items: [entry] });
    at = end;
  }
  return lists;
}

function appendText(blocks, line) {
  const last = blocks.at(-1);
  if (last?.type === "text") last.lines.push(line);
  else blocks.push({ type: "text", lines: [line] });
}

// Emphasis may span lines, so a paragraph is parsed only when it is whole.
function finishText(block) {
  if (block.type !== "text") return [block];
  const source = block.lines.join("\n").replace(/^\n+|\n+$/g, "");
  if (!source) return block.lines.length > 1 ? [{ type: "gap" }] : [];
  return [{ type: "paragraph", children: parseInline(source) }];
}
