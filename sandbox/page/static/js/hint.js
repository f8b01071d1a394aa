// The first visit: things to try, each of which fills in what it speaks of.

import { h, icon, iconButton } from "./dom.js";
import { recall, remember } from "./state.js";

const IDEAS = 4;

export class Hint {
  constructor(footer, composer) {
    this.composer = composer;
    this.tried = new Set();
    this.element = h("section", {
      class: "hint",
      "aria-label": "Things to try",
      hidden: true,
    });
    footer.prepend(this.element);
    this.draw();
    if (!recall("hintSeen")) this.show();
  }

  draw() {
    const ideas = [
      [
        "at",
        "Mention the bot",
        "It streams its answer as a reply.",
        () => this.composer.mentionBot("What can you do here?"),
      ],
      [
        "slash",
        "/imagine a picture",
        "It is drawn while you watch.",
        () => this.composer.openCommand("imagine", { prompt: "A quiet harbour at night" }),
      ],
      [
        "slash",
        "/video a short clip",
        "It plays in its message.",
        () => this.composer.openCommand("video", { prompt: "A fox walking through a forest" }),
      ],
      [
        "coin",
        "/credits balance",
        "See what an answer cost.",
        () => this.composer.openCommand("credits balance"),
      ],
    ];
    this.element.append(
      h(
        "div",
        { class: "hint-head" },
        h("h2", {}, "Things to try"),
        iconButton("close", "Close this hint", () => this.hide()),
      ),
      h(
        "ol",
        { class: "hint-list" },
        ideas.map(([name, title, about, run]) =>
          h(
            "li",
            {},
            h(
              "button",
              { type: "button", class: "idea", onclick: (event) => this.try(event, title, run) },
              h("span", { class: "idea-mark" }, icon(name)),
              h("span", { class: "idea-words" }, h("strong", {}, title), h("small", {}, about)),
            ),
          ),
        ),
      ),
    );
  }

  try(event, title, run) {
    const mark = event.currentTarget.querySelector(".idea-mark");
    mark.replaceChildren(icon("check"));
    this.tried.add(title);
    if (this.tried.size === IDEAS) this.hide();
    run();
  }

  show() {
    this.element.hidden = false;
  }

  hide() {
    this.element.hidden = true;
    remember({ hintSeen: true });
    this.composer.focus();
  }

  toggle() {
    if (this.element.hidden) this.show();
    else this.hide();
  }
}
