// The left column: channels above, the user one acts as below. A drawer on a narrow screen.

import { explain } from "./api.js";
import { h, icon, iconButton, popover, replace, toast } from "./dom.js";
import { avatar } from "./message.js";
import { nameOf, on, openChannel, state, switchUser, visibleChannels } from "./state.js";

const ICONS = { text: "hash", dm: "message", thread: "thread" };

export class Sidebar {
  constructor(root, scrim) {
    this.root = root;
    this.scrim = scrim;
    this.guild = h("div", { class: "sidebar-guild" });
    this.channels = h("nav", { class: "channels", "aria-label": "Channels" });
    this.user = h("div", { class: "user-bar" });
    root.append(this.guild, this.channels, this.user);
    scrim.addEventListener("click", () => this.toggle(false));
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
    for (const topic of ["world", "channel", "unread", "user"]) on(topic, () => this.draw());
    on("open-channel", (id) => this.open(id));
  }

  /** Open or close the drawer; on a wide screen the column is always there. */
  toggle(open) {
    this.root.classList.toggle("open", open);
    this.scrim.hidden = !open;
    if (open) this.root.querySelector("[aria-current], button")?.focus();
  }

  draw() {
    replace(
      this.guild,
      h("span", { class: "guild-name" }, state.guild.name || "Sandbox"),
      h("span", { class: "guild-about" }, "simulated Discord"),
    );
    const known = visibleChannels();
    replace(
      this.channels,
      this.group(
        "Channels",
        known.filter((one) => one.kind !== "dm"),
      ),
      this.group(
        "Direct messages",
        known.filter((one) => one.kind === "dm"),
      ),
    );
    this.drawUser();
  }

  group(title, list) {
    if (!list.length) return null;
    const threads = list.filter((one) => one.kind === "thread");
    const rows = list
      .filter((one) => one.kind !== "thread")
      .flatMap((one) => [one, ...threads.filter((thread) => thread.parent_id === one.id)]);
    const orphans = threads.filter((one) => !rows.includes(one));
    return h(
      "section",
      { class: "channel-group" },
      h("h2", {}, title),
      h(
        "ul",
        {},
        [...rows, ...orphans].map((one) => h("li", {}, this.row(one))),
      ),
    );
  }

  row(channel) {
    const current = channel.id === state.channelId;
    const unread = state.unread.has(channel.id);
    const name =
      channel.kind === "dm" ? nameOf(state.botUser ?? { name: "the bot" }) : channel.name;
    return h(
      "button",
      {
        type: "button",
        class: `channel channel-${channel.kind}${unread ? " unread" : ""}`,
        "aria-current": current ? "page" : undefined,
        onclick: () => this.open(channel.id),
      },
      icon(ICONS[channel.kind] ?? "hash"),
      h("span", { class: "channel-name" }, name),
      channel.nsfw && h("span", { class: "tag", title: "Age-restricted" }, "18+"),
      unread && h("span", { class: "unread-dot", role: "img", "aria-label": "new messages" }),
    );
  }

  async open(channelId) {
    this.toggle(false);
    if (channelId === state.channelId) return;
    try {
      await openChannel(channelId);
    } catch (error) {
      toast(explain(error), "bad");
    }
  }

  drawUser() {
    if (!state.me) return;
    const button = h(
      "button",
      { type: "button", class: "user-button", "aria-haspopup": "menu", "aria-expanded": "false" },
      avatar(state.me),
      h(
        "span",
        { class: "user-words" },
        h(
          "span",
          { class: "user-line" },
          h("span", { class: "user-name" }, nameOf(state.me)),
          roleTag(state.me),
        ),
        h("span", { class: "user-role" }, "Switch user"),
      ),
      icon("chevron"),
    );
    let close = null;
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-expanded") === "true") return close?.();
      close = this.openMenu(button);
    });
    replace(this.user, button);
  }

  openMenu(button) {
    const rows = state.users.map((user) => this.userRow(user, () => close()));
    const menu = h("div", { class: "menu user-menu", role: "menu", "aria-label": "Act as" }, rows);
    const close = popover(button, menu);
    menu.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const at = rows.indexOf(document.activeElement);
      rows[(at + step + rows.length) % rows.length].focus();
    });
    (rows.find((row) => row.getAttribute("aria-checked") === "true") ?? rows[0]).focus();
    return close;
  }

  userRow(user, close) {
    const choose = async () => {
      close();
      this.toggle(false);
      try {
        await switchUser(user.id);
        toast(`You are ${nameOf(user)} now (${user.staff ? "staff" : "member"}).`);
      } catch (error) {
        toast(explain(error), "bad");
      }
    };
    const current = user.id === state.me.id;
    return h(
      "button",
      {
        type: "button",
        class: "menu-row",
        role: "menuitemradio",
        "aria-checked": String(current),
        onclick: choose,
      },
      avatar(user),
      h("span", { class: "menu-words" }, nameOf(user)),
      roleTag(user),
      h("span", { class: "menu-check" }, current && icon("check")),
    );
  }
}

const roleTag = (user) =>
  h("span", { class: user.staff ? "tag tag-staff" : "tag" }, user.staff ? "staff" : "member");

/** The button that opens the drawer on a narrow screen. */
export function drawerButton(sidebar) {
  return iconButton("menu", "Channels and user", () => sidebar.toggle(true), {
    class: "icon-button drawer-button",
  });
}
