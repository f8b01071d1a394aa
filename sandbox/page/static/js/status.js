// The status pill and its panel: the bot, its connection, and how the provider behaves.

import { api, explain } from "./api.js";
import { h, icon, popover, replace, toast } from "./dom.js";
import { FAULTS, PACES } from "./faults.js";
import { on, state } from "./state.js";

const FAULT_LIST = FAULTS.flatMap(([, entries]) => entries);
// "Until cleared": the most that the provider takes, and more than anyone asks for by hand.
const MANY_TIMES = 1000;
// An armed fault may be used up by any answer; its mark is checked this long after one.
const RECHECK_AFTER_MS = 1200;
const HEALTHY = "works as documented";
const PACE_NAMES = PACES.map(([name]) => name);

export class StatusPill {
  constructor() {
    this.pace = PACE_NAMES[0];
    this.armed = null;
    this.button = h("button", {
      type: "button",
      class: "pill",
      "aria-haspopup": "dialog",
      "aria-expanded": "false",
    });
    this.element = h("div", { class: "pill-frame" }, this.button);
    let close = null;
    this.button.addEventListener("click", () => {
      if (this.button.getAttribute("aria-expanded") === "true") close?.();
      else close = this.open();
    });
    for (const topic of ["bot", "world", "connection"]) on(topic, () => this.draw());
    for (const topic of ["message", "messages"]) on(topic, () => this.recheckSoon());
    this.draw();
  }

  words() {
    if (!state.connected) return ["lost", "Reconnecting…"];
    return state.botOnline ? ["on", "Bot online"] : ["off", "Bot offline"];
  }

  draw() {
    const [kind, words] = this.words();
    const trouble = this.armed || this.pace !== PACE_NAMES[0];
    replace(
      this.button,
      h("span", { class: `lamp lamp-${kind}`, "aria-hidden": true }),
      h("span", { class: "pill-words", role: "status" }, words),
      trouble &&
        h(
          "span",
          { class: "tag tag-warn", title: "The provider misbehaves on purpose" },
          "provider",
        ),
      icon("chevron"),
    );
    this.botLine?.replaceChildren(words);
    this.drawBotButtons?.();
  }

  recheckSoon() {
    if (!this.armed) return;
    clearTimeout(this.recheck);
    this.recheck = setTimeout(() => this.readProvider(), RECHECK_AFTER_MS);
  }

  /** What is really switched: another page or a test may have changed it. */
  async readProvider() {
    if (!state.features.provider) return;
    try {
      const [{ faults }, pace] = await Promise.all([api.provider.faults(), api.provider.pace()]);
      const same = PACES.find(([, one]) => one.tokens_per_s === pace.tokens_per_s);
      this.pace = same?.[0] ?? "Other";
      if (!faults.length) this.armed = null;
      else if (!this.armed)
        this.armed = faults.map((one) => `${one.kind} ×${one.times}`).join(", ");
    } catch {
      // The panel says so in the line of the account.
    }
    this.draw();
    this.drawPace?.();
    if (this.faultLine) this.faultLine.textContent = this.armed ?? HEALTHY;
  }

  open() {
    this.botLine = h("span", { class: "quiet" }, this.words()[1]);
    const panel = h(
      "div",
      { class: "menu status-panel", role: "dialog", "aria-label": "Simulation" },
      this.botPart(),
      state.features.provider && [this.pacePart(), this.faultPart(), this.accountPart()],
    );
    this.readProvider();
    const forget = () =>
      (this.botLine = this.drawBotButtons = this.faultLine = this.drawPace = null);
    return popover(this.button, panel, { onclose: forget });
  }

  botPart() {
    const row = h("div", { class: "panel-row" });
    this.drawBotButtons = () => {
      const shown = String(state.botOnline);
      if (row.dataset.online === shown) return;
      row.dataset.online = shown;
      replace(row, this.botButtons());
    };
    this.drawBotButtons();
    return part("The bot", this.botLine, row);
  }

  botButtons() {
    const drop = () => api.gateway({ action: "drop" });
    const dropButton = action("Drop connection", drop, "The gateway connection was cut.");
    if (!state.features.bot) return [dropButton];
    if (!state.botOnline) return [action("Start", () => api.bot("restart"), "The bot starts.")];
    return [
      action("Restart", () => api.bot("restart"), "The bot was restarted."),
      action("Kill", () => api.bot("kill"), "The bot was killed, as by a crash."),
      dropButton,
    ];
  }

  pacePart() {
    const row = h("div", { class: "segments", role: "radiogroup", "aria-label": "Speed" });
    this.drawPace = () =>
      replace(
        row,
        PACES.map(([name, pace, tasksPace]) => {
          const both = () =>
            Promise.all([api.provider.setPace(pace), api.provider.setTasksPace(tasksPace)]);
          const choose = async () => {
            if (await attempt(both)) await this.readProvider();
          };
          const checked = String(this.pace === name);
          return h(
            "button",
            { type: "button", role: "radio", "aria-checked": checked, onclick: choose },
            name,
          );
        }),
      );
    this.drawPace();
    return part("Provider speed", null, row);
  }

  faultPart() {
    const said = h("span", { class: "quiet" }, this.armed ?? HEALTHY);
    this.faultLine = said;
    const field = h(
      "select",
      { class: "select", "aria-label": "What goes wrong" },
      FAULTS.map(([title, entries]) =>
        h(
          "optgroup",
          { label: title },
          entries.map(([name]) =>
            h("option", { value: FAULT_LIST.findIndex((one) => one[0] === name) }, name),
          ),
        ),
      ),
    );
    const always = h("input", { type: "checkbox" });
    const arm = async () => {
      const [name, fault] = FAULT_LIST[Number(field.value)];
      const times = always.checked ? MANY_TIMES : 1;
      if (!(await attempt(() => api.provider.fault({ ...fault, times })))) return;
      this.armed = always.checked ? `each time: ${name}` : `next time: ${name}`;
      said.textContent = this.armed;
      this.draw();
    };
    const clear = async () => {
      if (await attempt(() => api.provider.clear())) await this.readProvider();
    };
    return part(
      "Provider answers",
      said,
      h("span", { class: "select-frame" }, field, icon("chevron")),
      h(
        "div",
        { class: "panel-row" },
        h("label", { class: "checkbox" }, always, "until cleared"),
        h("button", { type: "button", class: "button button-primary", onclick: arm }, "Arm"),
        h("button", { type: "button", class: "button button-secondary", onclick: clear }, "Clear"),
      ),
    );
  }

  accountPart() {
    const said = h("span", { class: "quiet" }, "…");
    api.provider.account().then(
      ({ balance, consumed }) => (said.textContent = `${balance} left · ${consumed} used`),
      (error) => (said.textContent = explain(error)),
    );
    return part("Provider credits", said);
  }
}

function part(title, said, ...controls) {
  return h(
    "section",
    { class: "panel-part" },
    h("div", { class: "panel-head" }, h("h3", {}, title), said),
    controls,
  );
}

function action(label, run, done) {
  const button = h("button", { type: "button", class: "button button-secondary" }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    if (await attempt(run)) toast(done);
    button.disabled = false;
  });
  return button;
}

async function attempt(run) {
  try {
    await run();
    return true;
  } catch (error) {
    toast(explain(error), "bad");
    return false;
  }
}
