// Puts the parts of the page together and starts it.

import { explain } from "./api.js";
import { Composer } from "./composer.js";
import { h, icon, iconButton, replace, toast } from "./dom.js";
import { Hint } from "./hint.js";
import { MessageList } from "./messages.js";
import { watchModals } from "./modal.js";
import { drawerButton, Sidebar } from "./sidebar.js";
import { currentChannel, nameOf, on, start, state } from "./state.js";
import { StatusPill } from "./status.js";
import { keepTimesTrue } from "./time.js";

const RETRY_MS = 2000;

const byId = (id) => document.getElementById(id);

const sidebar = new Sidebar(byId("sidebar"), byId("scrim"));
const composer = new Composer(byId("footer"));
new MessageList(byId("messages"), byId("footer"));
const hint = new Hint(byId("footer"), composer);
const title = h("div", { class: "header-title" });

function buildHeader() {
  byId("header").append(
    drawerButton(sidebar),
    title,
    iconButton("help", "Things to try", () => hint.toggle()),
    new StatusPill().element,
  );
}

function drawTitle() {
  const channel = currentChannel();
  if (!channel) return;
  const direct = channel.kind === "dm";
  const name = direct ? nameOf(state.botUser ?? { name: "the bot" }) : channel.name;
  document.title = `${direct ? "@" : "#"}${name} · Atelier sandbox`;
  replace(
    title,
    icon(direct ? "message" : "hash"),
    h("h1", {}, name),
    channel.nsfw && h("span", { class: "tag" }, "18+"),
    channel.topic && h("span", { class: "topic" }, channel.topic),
  );
}

// Typing anywhere lands in the message box, as in any chat.
function catchTyping(event) {
  const free =
    document.activeElement === document.body || document.activeElement === byId("messages");
  if (!free || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  if (event.key !== " ") composer.focus();
}

async function begin(isFirst = true) {
  try {
    await start();
    // On a phone the keyboard would cover what is to be read first.
    if (matchMedia("(pointer: fine)").matches) composer.focus();
  } catch (error) {
    if (isFirst) toast(explain(error), "bad");
    setTimeout(() => begin(false), RETRY_MS);
  }
}

buildHeader();
watchModals();
keepTimesTrue();
for (const topic of ["world", "channel", "user"]) on(topic, drawTitle);
document.addEventListener("keydown", catchTyping);
begin();
