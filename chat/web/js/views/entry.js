// Before one is logged in: the two forms, the number a new account was given, and the notice
// that the account is in use elsewhere.

import { h, icon } from "../dom.js";
import { explain, t } from "../i18n.js";
import { REFUSED, Refusal } from "../protocol.js";
import { who } from "../storage.js";
import { button, dialog, field, form, numberTag, passwordField } from "./parts.js";

export class Entry {
  element = h("main", { class: "entry" });
  #session;
  #card = h("section", { class: "card" });
  #registering = false;

  constructor(session) {
    this.#session = session;
    this.element.append(h("div", { class: "brand" }, h("span", { class: "mark" }, icon("chats")),
      h("h1", {}, t("app")), h("p", {}, t("tagline"))), this.#card);
  }

  show() {
    // Where nobody was before, or whose account is gone, somebody new is expected.
    if (this.#session.phase === "out") this.#registering ||= !who.get();
    this.#draw();
  }

  #draw() {
    const phase = this.#session.phase;
    if (phase === "elsewhere") this.#elsewhere();
    else if (phase === "starting") this.#card.replaceChildren(h("p", { class: "waiting" }, t("starting")));
    else if (this.#registering) this.#register();
    else this.#login();
  }

  #fill(title, ...content) {
    this.#card.replaceChildren(h("h2", {}, title), ...content);
  }

  #switchTo(registering) {
    this.#registering = registering;
    this.#draw();
  }

  #login() {
    const last = who.get();
    const id = field(t("login.id"), { hint: t("login.idHint"), inputMode: "numeric", name: "username",
      autocomplete: "username", required: true, maxLength: 19, value: last?.id ?? "" });
    const password = passwordField(t("login.password"), "current-password");
    const element = form([id.row, password.row], t("login"), async () => {
      if (!/^[0-9]+$/.test(id.input.value.trim())) throw new Refusal(-1, t("login.badId"));
      await this.#session.login(id.input.value.trim(), password.input.value);
    });
    const title = last?.name ? `${t("login.title")}, ${last.name}` : t("login.title");
    this.#fill(title, element, button(t("login.toRegister"), () => this.#switchTo(true), { kind: "link" }));
    if (this.#session.problem) element.querySelector(".problem").textContent = t("again");
    (last ? password : id).input.focus();
  }

  #register() {
    const name = field(t("register.name"), { hint: t("register.nameHint"), autocomplete: "nickname",
      required: true, maxLength: 50 });
    const password = passwordField(t("login.password"), "new-password");
    const invite = field(t("register.invite"), { autocomplete: "off" });
    invite.row.hidden = true;
    const askInvite = () => {
      invite.row.hidden = false;
      haveInvite.remove();
      invite.input.focus();
    };
    const haveInvite = button(t("register.haveInvite"), askInvite, { kind: "link" });
    let id = null;
    const element = form([name.row, password.row, invite.row, haveInvite], t("register"), async () => {
      id = await this.#session.register(name.input.value, password.input.value,
        invite.input.value.trim() || undefined);
      this.#registering = false;
      who.set({ id, name: name.input.value.trim() });
      await this.#session.login(id, password.input.value);
      welcome(this.#session.me);
    }, (problem) => {
      if (problem.errno !== REFUSED || id) return explain(problem);
      if (problem.registration === "open") return t("errno.1.name");
      if (problem.registration === "closed") return t("register.closed");
      askInvite();
      return t(invite.input.value.trim() ? "register.badInvite" : "register.needInvite");
    });
    this.#fill(t("register.title"), element,
      button(t("login.toLogin"), () => this.#switchTo(false), { kind: "link" }));
    name.input.focus();
  }

  #elsewhere() {
    this.#fill(t("elsewhere.title"), h("p", {}, t("elsewhere.text")),
      button(t("elsewhere.here"), () => this.#session.takeOver(), { kind: "primary wide" }),
      button(t("elsewhere.other"), () => this.#session.giveUp(), { kind: "link" }));
  }
}

/** What a new account has to know. */
function welcome({ id, name }) {
  const box = dialog(t("welcome.title", { name }), h("p", {}, t("welcome.number")),
    h("div", { class: "big-number" }, numberTag(id)), h("p", { class: "quiet" }, t("welcome.text")),
    button(t("welcome.go"), () => box.close(), { kind: "primary wide" }));
  box.classList.add("small", "centred");
  box.querySelector(".primary").focus();
}
