// The line at the top that says when there is no connection.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { button } from "./parts.js";

const GRACE = 800;   // ms; a reconnect that takes less is not worth a word

export class Banner {
  element = h("div", { class: "banner", role: "status", hidden: true });
  #session;
  #connection;
  #since = 0;
  #words = h("span");
  #try = button(t("state.try"), () => this.#connection.retryNow(), { kind: "link" });

  constructor({ session, connection }) {
    this.#session = session;
    this.#connection = connection;
    this.element.append(this.#words, this.#try);
    connection.on("state", () => this.#render());
    session.on("phase", () => this.#render());
    setInterval(() => this.#render(), 500);
  }

  #render() {
    const { state, retryAt } = this.#connection;
    document.body.dataset.connection = state;
    const away = ["in", "starting"].includes(this.#session.phase) && state !== "online" && state !== "idle";
    if (!away) this.#since = 0;
    else this.#since ||= Date.now();
    this.element.hidden = !away || Date.now() - this.#since < GRACE;
    this.#try.hidden = state !== "waiting";
    const n = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
    const words = state === "waiting" ? t("state.waiting", { n }) : t("state.connecting");
    if (this.#words.textContent !== words) this.#words.textContent = words;
  }
}
