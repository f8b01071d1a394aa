// What can be done with a message: opened by its button, a right click or the menu key.

import { api, explain } from "./api.js";
import { messageCommands } from "./commands.js";
import { h, icon, toast } from "./dom.js";
import { follow, state } from "./state.js";

const MARGIN_PX = 8;

let closeOpen = null;

/**
 * Open it at `place` ({x, y} in the window). `actions`: [{icon, label, run}] stand above the apps.
 * When it closes, the focus goes back to `origin`.
 */
export function openMessageMenu(message, actions, place, origin) {
  closeOpen?.();
  const names = messageCommands();
  const menu = h("div", { class: "menu message-menu", role: "menu", "aria-label": "Message" });
  const close = () => {
    if (closeOpen !== close) return;
    closeOpen = null;
    document.removeEventListener("pointerdown", outside, true);
    window.removeEventListener("blur", close);
    window.removeEventListener("resize", close);
    const hadFocus = menu.contains(document.activeElement);
    menu.remove();
    origin?.setAttribute("aria-expanded", "false");
    if (hadFocus && origin?.isConnected) origin.focus();
  };
  const outside = (event) => !menu.contains(event.target) && close();
  const item = (name, words, run) => {
    const choose = () => {
      close();
      run();
    };
    const props = { type: "button", class: "menu-row", role: "menuitem", tabindex: -1 };
    return h("button", { ...props, onclick: choose }, icon(name), words);
  };
  menu.append(
    ...actions.map((one) => item(one.icon, one.label, one.run)),
    h("div", { class: "menu-title", role: "presentation" }, "Apps"),
    ...names.map((name) => item("bot", name, () => use(name, message))),
  );
  if (!names.length) menu.append(h("div", { class: "menu-none" }, "No app offers anything here."));
  menu.addEventListener("keydown", (event) => steer(menu, event, close));
  menu.addEventListener("contextmenu", (event) => event.preventDefault());
  document.body.append(menu);
  putAt(menu, place);
  document.addEventListener("pointerdown", outside, true);
  window.addEventListener("blur", close);
  window.addEventListener("resize", close);
  origin?.setAttribute("aria-expanded", "true");
  closeOpen = close;
  menu.querySelector("[role=menuitem]")?.focus();
}

function putAt(menu, { x, y }) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.max(MARGIN_PX, Math.min(x, innerWidth - width - MARGIN_PX));
  const top = Math.max(MARGIN_PX, Math.min(y, innerHeight - height - MARGIN_PX));
  menu.style.setProperty("--menu-left", `${left}px`);
  menu.style.setProperty("--menu-top", `${top}px`);
}

function steer(menu, event, close) {
  const items = [...menu.querySelectorAll("[role=menuitem]")];
  const at = items.indexOf(document.activeElement);
  const last = items.length - 1;
  const next = {
    ArrowDown: at === last ? 0 : at + 1,
    ArrowUp: at <= 0 ? last : at - 1,
    Home: 0,
    End: last,
  }[event.key];
  if (next !== undefined) items[next].focus();
  else if (event.key === "Escape" || event.key === "Tab") close();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

async function use(name, message) {
  try {
    const { interaction_id: id } = await api.command({
      user_id: state.me.id,
      channel_id: state.channelId,
      name,
      type: 3,
      target_id: message.id,
    });
    follow(id, { kind: "command", label: name });
  } catch (error) {
    toast(explain(error), "bad");
  }
}
