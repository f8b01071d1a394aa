// The status pill and its panel: the bot, its connection, and how the provider behaves.

import { api, explain } from "./api.js";
import { h, icon, popover, replace, toast } from "./dom.js";
import { on, state } from "./state.js";

const PACES = [
  ["Usual", { tokens_per_s: 60, first_token_delay_s: 0.4 }],
  ["Slow", { tokens_per_s: 12, first_token_delay_s: 3 }],
  ["Crawling", { tokens_per_s: 3, first_token_delay_s: 8 }],
];

// The provider's documented errors, then what networks do to an answer.
const FAULTS = [
  ["Errors of the provider", [
    ["400 invalid request", { kind: "error", code: "invalid_request" }],
    ["401 invalid API key", { kind: "error", code: "invalid_api_key" }],
    ["402 insufficient credits", { kind: "error", code: "insufficient_credits" }],
    ["403 address not allowed", { kind: "error", code: "ip_not_allowed" }],
    ["404 model not found", { kind: "error", code: "model_not_found" }],
    ["429 rate limit", { kind: "error", code: "rate_limit_exceeded" }],
    ["429 spend limit", { kind: "error", code: "spend_limit_exceeded" }],
    ["500 internal error", { kind: "error", code: "internal_error" }],
    ["503 upstream error", { kind: "error", code: "upstream_error" }],
  ]],
  ["Trouble on the way", [
    ["Cut in the middle", { kind: "cut", after_events: 12 }],
    ["Stalls in the middle", { kind: "stall", after_events: 12 }],
    ["Malformed data", { kind: "malformed", after_events: 12 }],
    ["Connection reset", { kind: "reset" }],
    ["An HTML page instead", { kind: "html" }],
    ["An error inside the stream", { kind: "error_event", after_events: 12 }],
    ["Answer left incomplete", { kind: "incomplete" }],
  ]],
];
const FAULT_LIST = FAULTS.flatMap(([, entries]) => entries);
// "Until cleared": more answers than anyone asks for by hand.
const MANY_TIMES = 10_000;
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
      trouble && h("span", { class: "tag tag-warn", title: "The provider misbehaves on purpose" }, "provider"),
      icon("chevron"),
    );
    this.botLine?.replaceChildren(words);
  }

  open() {
    this.botLine = h("span", { class: "quiet" }, this.words()[1]);
    const panel = h(
      "div",
      { class: "menu status-panel", role: "dialog", "aria-label": "Simulation" },
      this.botPart(),
      state.features.provider && [this.pacePart(), this.faultPart(), this.accountPart()],
    );
    return popover(this.button, panel, { onclose: () => (this.botLine = null) });
  }

  botPart() {
    const buttons = [];
    if (state.features.bot) {
      buttons.push(
        action("Restart", () => api.bot("restart"), "The bot restarts."),
        action("Kill", () => api.bot("kill"), "The bot was killed, as by a crash."),
      );
    }
    buttons.push(
      action("Drop connection", () => api.gateway({ action: "drop" }), "The gateway connection was cut."),
    );
    return part("The bot", this.botLine, h("div", { class: "panel-row" }, buttons));
  }

  pacePart() {
    const row = h("div", { class: "segments", role: "radiogroup", "aria-label": "Speed" });
    const draw = () =>
      replace(row, PACES.map(([name, pace]) => {
        const choose = async () => {
          if (!(await attempt(() => api.provider.pace(pace)))) return;
          this.pace = name;
          draw();
          this.draw();
        };
        const checked = String(this.pace === name);
        return h("button", { type: "button", role: "radio", "aria-checked": checked, onclick: choose }, name);
      }));
    draw();
    return part("Provider speed", null, row);
  }

  faultPart() {
    const said = h("span", { class: "quiet" }, this.armed ?? "works as documented");
    const field = h(
      "select",
      { class: "select", "aria-label": "What goes wrong" },
      FAULTS.map(([title, entries]) =>
        h("optgroup", { label: title }, entries.map(([name]) =>
          h("option", { value: FAULT_LIST.findIndex((one) => one[0] === name) }, name),
        )),
      ),
    );
    const always = h("input", { type: "checkbox" });
    const arm = async () => {
      const [name, fault] = FAULT_LIST[Number(field.value)];
      const times = always.checked ? MANY_TIMES : 1;
      if (!(await attempt(() => api.provider.fault({ ...fault, times })))) return;
      this.armed = always.checked ? `each answer: ${name}` : `next answer: ${name}`;
      said.textContent = this.armed;
      this.draw();
    };
    const clear = async () => {
      if (!(await attempt(() => api.provider.clear()))) return;
      this.armed = null;
      said.textContent = "works as documented";
      this.draw();
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
      ({ balance, consumed }) => (said.textContent = `${balance} credits left, ${consumed} used`),
      (error) => (said.textContent = explain(error)),
    );
    return part("Provider account", said);
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
