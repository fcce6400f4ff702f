// Where one writes. What is typed is kept until it is sent, over a reload too.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { MAX_TEXT_BYTES, TYPING } from "../protocol.js";
import { iconButton, toast } from "./parts.js";

const TYPING_EVERY = 3000;   // ms between two hints that one types
const TALLEST = 180;         // px

const encoder = new TextEncoder();
const touch = matchMedia("(pointer: coarse)");

export class Composer {
  element;
  #page;
  #conversation = null;
  #typedAt = 0;
  #text = h("textarea", { rows: 1, placeholder: t("room.placeholder"), enterKeyHint: "send",
    autocomplete: "off", dir: "auto" });
  #send;

  constructor(page, sent) {
    this.#page = page;
    this.sent = sent;
    this.#send = iconButton("send", t("room.send"), () => this.#submit(), "send");
    this.element = h("form", { class: "composer", on: { submit: (event) => {
      event.preventDefault();
      this.#submit();
    } } }, this.#text, this.#send);
    this.#text.addEventListener("input", () => this.#typed());
    this.#text.addEventListener("keydown", (event) => {
      // An input method's own Enter chooses a word. On a touch screen Enter is a new line.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      if (touch.matches) return;
      event.preventDefault();
      this.#submit();
    });
  }

  /** Who it is for. */
  name(name) {
    this.#text.setAttribute("aria-label", t("room.write", { name }));
  }

  show(conversation) {
    this.#stopTyping();
    this.#conversation = conversation;
    this.#text.value = conversation.draft;
    this.#fit();
    if (!touch.matches) this.#text.focus();
  }

  /** Another conversation, or none, takes its place. */
  hide() {
    this.#stopTyping();
    this.#conversation = null;
  }

  #fit() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, TALLEST)}px`;
    this.#send.disabled = !this.#text.value.trim();
  }

  #typed() {
    const { store } = this.#page;
    store.draft(this.#conversation, this.#text.value);
    this.#fit();
    if (!this.#text.value) this.#stopTyping();
    else if (Date.now() - this.#typedAt > TYPING_EVERY) {
      this.#typedAt = Date.now();
      this.#hint(true);
    }
  }

  #stopTyping() {
    if (this.#typedAt) this.#hint(false);
    this.#typedAt = 0;
  }

  #hint(typing) {
    const { session } = this.#page;
    const { kind, id } = this.#conversation;
    if (!session.online || id === session.me.id) return;
    session.hint(TYPING, { [kind === "g" ? "groupid" : "toid"]: id, typing });
  }

  #submit() {
    const text = this.#text.value.trim();
    if (!text) return;
    if (encoder.encode(JSON.stringify(text)).length > MAX_TEXT_BYTES) {
      toast(t("room.tooLong"));
      return;
    }
    this.#typedAt = 0;   // the message itself says that the typing is over
    this.#text.value = "";
    this.#page.store.draft(this.#conversation, "");
    this.#fit();
    this.#page.session.say(this.#conversation, text);
    this.sent();
  }
}
