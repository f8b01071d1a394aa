// Times as Discord writes them; relative ones stay true while the page is open.

import { h } from "./dom.js";

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
  s: { dateStyle: "short", timeStyle: "short" },
  S: { dateStyle: "short", timeStyle: "medium" },
};
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const REFRESH_MS = 1000;

const formats = new Map();
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** `atMs` in one of Discord's styles, in the reader's own time zone. */
export function formatTime(atMs, style) {
  if (Number.isNaN(new Date(atMs).getTime())) return "an unknown time";
  if (style === "R") return formatRelative(atMs);
  if (!formats.has(style)) {
    formats.set(style, new Intl.DateTimeFormat("en-GB", STYLES[style] ?? STYLES.f));
  }
  return formats.get(style).format(atMs);
}

function formatRelative(atMs) {
  const seconds = Math.round((atMs - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS.at(-1);
  return relative.format(Math.round(seconds / size), unit);
}

export function timeElement(atMs, style) {
  const date = new Date(atMs);
  const valid = !Number.isNaN(date.getTime());
  return h(
    "time",
    {
      class: "md-time",
      datetime: valid && date.toISOString(),
      title: formatTime(atMs, "F"),
      dataset: style === "R" ? { relativeMs: atMs } : {},
    },
    formatTime(atMs, style),
  );
}

/** The time beside an author: the hour today, the date before. */
export function stampOf(isoTime) {
  const atMs = Date.parse(isoTime);
  const today = new Date().toDateString() === new Date(atMs).toDateString();
  return formatTime(atMs, today ? "t" : "s");
}

export function keepTimesTrue() {
  setInterval(() => {
    for (const element of document.querySelectorAll("time[data-relative-ms]")) {
      const now = formatRelative(Number(element.dataset.relativeMs));
      if (element.textContent !== now) element.textContent = now;
    }
  }, REFRESH_MS);
}
