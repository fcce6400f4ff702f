// Friends, requests, and finding somebody.

import { h, perFrame, reconcile } from "../dom.js";
import { avatar } from "../format.js";
import { t } from "../i18n.js";
import * as P from "../protocol.js";
import { arrowKeys, attempt, button, emptyState, iconButton, toast } from "./parts.js";
import { showBlocked, showPerson } from "./person.js";

const collator = new Intl.Collator();

export class People {
  element = h("section", { class: "panel", "aria-label": t("people") });
  #page;
  #name = h("input", { type: "search", class: "search", placeholder: t("find.label"),
    "aria-label": t("find.label"), enterKeyHint: "search", maxLength: 50 });
  #requests = h("ul", { class: "rows" });
  #requestsHead = h("h3", { class: "rows-head" }, t("requests"));
  #friends = h("ul", { class: "rows" });
  #none = emptyState("people", t("people.none"), "");

  constructor(page) {
    this.#page = page;
    const find = h("form", { class: "panel-tools", role: "search", on: { submit: (event) => {
      event.preventDefault();
      this.#find(this.#name.value.trim());
    } } }, this.#name, button(t("find.button"), null, { type: "submit" }));
    this.element.append(h("header", { class: "panel-head" }, h("h2", {}, t("people")),
      iconButton("forbid", t("blockedPeople"), () => showBlocked(page))),
    find, h("div", { class: "scroll" }, this.#requestsHead, this.#requests, this.#friends, this.#none));
    arrowKeys(this.#friends);
    const render = perFrame(() => this.#render());
    page.store.on("people", render);
    render();
  }

  async #find(wanted) {
    if (!wanted) return;
    const { session } = this.#page;
    const byNumber = /^[1-9]\d{0,18}$/.test(wanted);
    try {
      const ask = byNumber ? { userid: wanted } : { name: wanted };
      const { user } = await session.request(P.FIND_USER, ask)
        .catch((problem) => {
          if (!byNumber || problem.errno !== P.NO_SUCH_USER) throw problem;
          return session.request(P.FIND_USER, { name: wanted });
        });
      this.#name.value = "";
      showPerson(this.#page, String(user.id), user.name);
    } catch (problem) {
      if (problem.errno === P.NO_SUCH_USER) toast(t("find.none", { name: wanted }));
      else await attempt(() => { throw problem; });
    }
  }

  #render() {
    const { store } = this.#page;
    if (!store.me) return;
    const byName = (one, other) => collator.compare(one.name, other.name);
    const online = [], offline = [];
    for (const friend of store.friends.values()) {
      (friend.state === "online" ? online : offline).push(friend);
    }
    const lines = [];
    for (const [state, friends] of [["online", online], ["offline", offline]]) {
      if (friends.length) lines.push({ id: state, head: `${t(`people.${state}`)} · ${friends.length}` });
      lines.push(...friends.sort(byName));
    }
    this.#requestsHead.hidden = this.#requests.hidden = !store.requests.size;
    this.#none.hidden = lines.length > 0 || store.requests.size > 0;
    this.#none.querySelector("p").textContent = t("people.noneText", { id: store.me.id });
    reconcile(this.#requests, [...store.requests.values()], (one) => one.id,
      (one, old) => old ?? this.#request(one));
    reconcile(this.#friends, lines, (one) => one.id, (one, old) => this.#friend(one, old));
  }

  #request(asker) {
    const answer = (accept) => attempt(async () => {
      const { session, store } = this.#page;
      const ack = await session.request(P.FRIEND_ANSWER, { friendid: asker.id, accept });
      store.dropRequest(asker.id);
      if (accept) {
        store.setFriend(ack.friend ?? { id: asker.id, name: asker.name, state: "offline" });
        toast(t("nowFriends", { name: asker.name }));
      }
    });
    return h("li", { class: "request" }, avatar(`u${asker.id}`, asker.name),
      h("div", { class: "row-main" }, h("span", { class: "row-name" }, asker.name),
        h("span", { class: "preview" }, asker.note ? `“${asker.note}”` : t("requests.wants")),
        h("div", { class: "choices" },
          button(t("accept"), () => answer(true), { kind: "primary" }),
          button(t("decline"), () => answer(false)))));
  }

  #friend(friend, old) {
    const face = friend.head ?? `${friend.name} ${friend.state}`;
    if (old?.face === face) return old;
    const item = old ?? h("li", {});
    const online = friend.state === "online";
    if (friend.head) {
      item.className = "rows-head";
      item.textContent = friend.head;
    } else {
      item.className = "with-button";
      item.replaceChildren(
        h("a", { class: "row", href: `#/u/${friend.id}` }, avatar(`u${friend.id}`, friend.name, online),
          h("span", { class: "row-main" }, h("span", { class: "row-name" }, friend.name),
            h("span", { class: `preview${online ? " online" : ""}` }, t(online ? "online" : "offline")))),
        iconButton("more", t("profile", { name: friend.name }),
          () => showPerson(this.#page, friend.id, friend.name)));
    }
    item.face = face;
    return item;
  }
}
