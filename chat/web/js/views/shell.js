// The frame around everything once one is logged in: the rail, the list beside it, the room.
// What the first view does not need is loaded when it is asked for.

import { h, icon } from "../dom.js";
import { avatar } from "../format.js";
import { t } from "../i18n.js";
import { Chats } from "./chats.js";
import { attempt, emptyState, part } from "./parts.js";

const TABS = ["chats", "people", "groups"];
const AHEAD = 1500;        // ms after the first view until a room is loaded for the first click
const BADGES_AFTER = 50;   // ms

let styled = false;

function loadStyle() {
  if (styled) return null;
  return new Promise((resolve, reject) => {
    const link = h("link", { rel: "stylesheet", href: "room.css" });
    link.onload = () => { styled = true; resolve(); };
    link.onerror = () => { link.remove(); reject(); };
    document.head.append(link);
  });
}

/** Its parts are named here so that they are fetched side by side. */
async function loadRoom() {
  const [{ Room }] = await part(Promise.all([import("./room.js"), import("./timeline.js"),
    import("./bubble.js"), import("./composer.js"), loadStyle()]));
  return Room;
}

export class Shell {
  element = h("div", { class: "shell" });
  #page;
  #tab = "chats";
  #panels = new Map();
  #links = new Map();
  #side = h("div", { class: "side" });
  #room = null;
  #main = h("main", { class: "room" }, emptyState("chats", t("room.none"), t("room.noneText")));
  #me = h("button", { class: "me", type: "button" });
  #counting = 0;

  constructor(page) {
    this.#page = page;
    const { session, store } = page;
    const rail = h("nav", { class: "rail", "aria-label": t("app") },
      h("span", { class: "mark", "aria-hidden": "true" }, icon("chats")));
    for (const tab of TABS) {
      const badge = h("span", { class: "badge", hidden: true });
      const link = h("a", { class: "tab", href: `#/${tab}` }, icon(tab),
        h("span", { class: "tab-name" }, t(tab)), badge);
      this.#links.set(tab, { link, badge });
      rail.append(link);
    }
    this.#me.addEventListener("click", () => attempt(async () => {
      (await part(import("./account.js"))).showAccount(page);
    }));
    rail.append(this.#me);
    this.#addPanel("chats", new Chats(page));
    this.element.append(rail, this.#side, this.#main);
    addEventListener("hashchange", () => attempt(() => this.route()));
    addEventListener("keydown", (event) => this.#shortcut(event));
    for (const topic of ["unread", "people"]) {
      // By a timer: a hidden page draws no pictures, but its title is seen.
      store.on(topic, () => { this.#counting ||= setTimeout(() => this.#badges(), BADGES_AFTER); });
    }
    session.on("phase", (phase) => { if (phase === "in") this.#room?.refresh(); });
    setTimeout(() => {
      if (session.online) loadRoom().catch(() => null);
    }, AHEAD);
  }

  /** Somebody logged in. */
  begin() {
    const { me } = this.#page.store;
    this.#me.replaceChildren(avatar(`u${me.id}`, me.name, true),
      h("span", { class: "tab-name" }, t("you")));
    this.#me.setAttribute("aria-label", `${t("account")}: ${me.name}`);
    this.#me.title = `${me.name} · ${t("number", { id: me.id })}`;
    this.#badges();
    attempt(() => this.route());
  }

  looksAt(conversation) {
    return Boolean(this.#room?.looksAt(conversation));
  }

  /** Show what the address says: `#/chats`, `#/people`, `#/groups`, `#/u/12`, `#/g/3`. */
  async route() {
    const { store } = this.#page;
    if (!store.me) return;
    const [, first, id] = location.hash.split("/");
    if (TABS.includes(first)) this.#tab = first;
    const inRoom = (first === "u" || first === "g") && /^[1-9]\d{0,18}$/.test(id ?? "");
    this.element.classList.toggle("in-room", inRoom);
    for (const [tab, { link }] of this.#links) {
      if (tab === this.#tab) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const address = location.hash;
    await this.#showPanel();
    if (inRoom && !this.#room) {
      const Room = await loadRoom();
      this.#room ??= new Room(this.#page, this.#main);
    }
    // While something was loaded one may have gone on to another place.
    if (!store.me || location.hash !== address) return;
    this.#room?.show(inRoom ? store.conversation(first + id) : null, `#/${this.#tab}`);
  }

  async #showPanel() {
    const tab = this.#tab;
    if (!this.#panels.has(tab)) {
      const made = tab === "people" ? new (await part(import("./people.js"))).People(this.#page)
        : new (await part(import("./groups.js"))).Groups(this.#page);
      if (!this.#panels.has(tab)) this.#addPanel(tab, made);
    }
    for (const [name, panel] of this.#panels) panel.element.hidden = name !== this.#tab;
  }

  #addPanel(tab, panel) {
    this.#panels.set(tab, panel);
    this.#side.append(panel.element);
  }

  #badges() {
    const { store } = this.#page;
    this.#counting = 0;
    const show = (tab, count) => {
      const { badge } = this.#links.get(tab);
      badge.hidden = !count;
      badge.textContent = count > 99 ? "99+" : String(count);
    };
    show("chats", store.unread);
    show("people", store.requests.size);
    document.title = store.unread ? `(${store.unread}) ${t("app")}` : t("app");
  }

  #shortcut(event) {
    if (!this.element.isConnected) return;
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      location.hash = "#/chats";
      this.#panels.get("chats").focus();
    } else if (event.key === "Escape" && !document.querySelector("dialog[open]")
      && this.element.classList.contains("in-room")) {
      location.hash = `#/${this.#tab}`;
    }
  }
}
