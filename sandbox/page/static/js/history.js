// The earlier versions of an edited message, as a member could have seen them.

import { components } from "./components.js";
import { h, iconButton } from "./dom.js";
import { markdown } from "./markdown.js";
import { state } from "./state.js";
import { formatTime } from "./time.js";

// A long answer is edited dozens of times; the dialog stays quick to open.
const VERSIONS_MAX = 100;
const LOADING = 1 << 7;

export function showHistory(messageId) {
  const message = state.messages.get(messageId);
  if (!message) return;
  const earlier = (message.history ?? []).slice(-VERSIONS_MAX);
  const now = { content: message.content, components: message.components, current: true };
  const dialog = h("dialog", { class: "dialog", "aria-label": "Edit history" });
  const close = () => dialog.close();
  const versions = [...earlier, now];
  const slider = h("input", {
    type: "range",
    class: "history-slider",
    min: 0,
    max: versions.length - 1,
    value: versions.length - 1,
    "aria-label": "Version",
  });
  const shown = h("div", { class: "history-version" });
  const caption = h("div", { class: "history-caption", "aria-live": "polite" });
  const draw = () => {
    const index = Number(slider.value);
    const version = versions[index];
    const at = version.at_ms ? ` · ${formatTime(version.at_ms, "T")}` : "";
    caption.textContent = version.current
      ? `Version ${index + 1} of ${versions.length} · as it is now`
      : `Version ${index + 1} of ${versions.length}${at}`;
    shown.replaceChildren(markdown(version.content ?? ""));
    const parts = components({ ...message, components: version.components });
    if (parts) {
      parts.inert = true;
      shown.append(parts);
    }
    if (!version.content && !parts) {
      const words = version.flags & LOADING ? "thinking…" : "no text";
      shown.append(h("em", { class: "quiet" }, words));
    }
  };
  slider.addEventListener("input", draw);
  dialog.append(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", {}, "Edit history"),
      iconButton("close", "Close", close),
    ),
    h("div", { class: "dialog-body" }, slider, caption, shown),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  draw();
  dialog.showModal();
  slider.focus();
}
