// Attachments, galleries and files; pictures keep their place before they arrive.

import { h, icon } from "./dom.js";

const WIDTH_PX_MAX = 520;
const HEIGHT_PX_MAX = 380;
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** An address of this sandbox as a path: the page may have been opened under another name. */
export function localAddress(url) {
  try {
    const address = new URL(url, location.href);
    if (LOOPBACK.has(address.hostname) && address.port === location.port) {
      return address.pathname + address.search;
    }
    return address.protocol === "http:" || address.protocol === "https:" ? address.href : null;
  } catch {
    return null;
  }
}

const isLocal = (url) => url?.startsWith("/") ?? false;

/** Files written as `attachment://name` point at an attachment of the same message. */
export function resolveMedia(item, message) {
  const url = item?.url ?? "";
  if (!url.startsWith("attachment://")) return item;
  const name = url.slice("attachment://".length);
  return message?.attachments?.find((one) => one.filename === name) ?? item;
}

export function formatBytes(size) {
  if (!Number.isFinite(size)) return "";
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${(size / 1024).toFixed(1)} KB`;
  return `${(size / 1024 / 1024).toFixed(1)} MB`;
}

export const kindOf = (item) => (item.content_type ?? "").split("/")[0];

export function attachments(list) {
  return h("div", { class: "attachments" }, list.map(attachment));
}

function attachment(item) {
  const url = localAddress(item.url);
  const kind = kindOf(item);
  const name = item.filename ?? "file";
  if (isLocal(url) && kind === "image")
    return picture(item, { spoiler: name.startsWith("SPOILER_") });
  if (isLocal(url) && kind === "video")
    return video(item, { spoiler: name.startsWith("SPOILER_") });
  if (isLocal(url) && kind === "audio") return audio(item, url);
  return fileCard(item);
}

/** A picture in a frame of its own size; pressing it shows it large. */
export function picture(item, { spoiler = false, className = "picture", description } = {}) {
  const url = localAddress(item.proxy_url ?? item.url);
  const label = description ?? item.description ?? item.filename ?? "Picture";
  if (!isLocal(url)) return fileCard({ ...item, filename: label });
  const size = fit(item.width, item.height);
  const image = h("img", { src: url, alt: label, loading: "lazy", ...size });
  const button = h(
    "button",
    {
      type: "button",
      class: `${className}${spoiler ? " picture-hidden" : ""}`,
      "aria-label": spoiler ? "Spoiler, press to show" : `Show large: ${label}`,
    },
    image,
  );
  button.addEventListener("click", () => {
    if (button.classList.contains("picture-hidden")) {
      button.classList.remove("picture-hidden");
      button.setAttribute("aria-label", `Show large: ${label}`);
    } else showLarge(url, label);
  });
  return button;
}

function fit(width, height) {
  if (!width || !height) return {};
  const scale = Math.min(1, WIDTH_PX_MAX / width, HEIGHT_PX_MAX / height);
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

function showLarge(url, label) {
  const dialog = h("dialog", { class: "lightbox", "aria-label": label });
  const close = () => dialog.close();
  dialog.append(
    h(
      "button",
      { type: "button", class: "lightbox-close", "aria-label": "Close", onclick: close },
      icon("close"),
    ),
    h("img", { src: url, alt: label }),
    h("a", { href: url, target: "_blank", rel: "noopener" }, "Open original"),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** A player in a frame of its own size; as a spoiler it stands behind a button. */
export function video(item, { spoiler = false, description } = {}) {
  const url = localAddress(item.url);
  if (!isLocal(url)) return fileCard(item);
  const size = fit(item.width, item.height);
  const label = description ?? item.description ?? item.filename ?? "Video";
  const props = { class: "video", src: url, controls: true, preload: "metadata", ...size };
  const player = h("video", { ...props, "aria-label": label });
  if (!spoiler) return player;
  const cover = h("button", { type: "button", class: "video-hidden" }, "Spoiler");
  cover.setAttribute("aria-label", "Spoiler, press to show");
  cover.addEventListener("click", () => {
    cover.replaceWith(player);
    player.focus();
  });
  return cover;
}

function audio(item, url) {
  return h(
    "div",
    { class: "file-card file-audio" },
    h("span", { class: "file-name" }, item.filename),
    h("audio", { src: url, controls: true, preload: "metadata" }),
  );
}

export function fileCard(item) {
  const url = localAddress(item.url);
  const name = item.filename ?? item.name ?? nameFrom(item.url);
  return h(
    "div",
    { class: "file-card" },
    icon("file"),
    h(
      "div",
      { class: "file-words" },
      url
        ? h("a", { class: "file-name", href: url, target: "_blank", rel: "noopener" }, name)
        : h("span", { class: "file-name" }, name),
      h("span", { class: "file-size" }, formatBytes(item.size)),
    ),
  );
}

function nameFrom(url = "") {
  return decodeURIComponent(url.split("?")[0].split("/").at(-1) || "file");
}

/** A grid of one to ten pictures and videos. */
export function gallery(items, message) {
  const shown = items.map((entry) => {
    const media = resolveMedia(entry.media, message);
    const { spoiler, description } = entry;
    if (kindOf(media) === "video") return video(media, { spoiler, description });
    return picture(media, {
      spoiler,
      className: "picture gallery-item",
      description,
    });
  });
  return h("div", { class: `gallery gallery-${Math.min(items.length, 4)}` }, shown);
}
