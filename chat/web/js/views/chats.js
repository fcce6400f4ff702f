// The list of conversations.

import { h, icon, perFrame, reconcile } from "../dom.js";
import { avatar, whenOf } from "../format.js";
import { t } from "../i18n.js";
import { arrowKeys, emptyState } from "./parts.js";

const SHOWN = 200;

export class Chats {
  element = h("section", { class: "panel", "aria-label": t("chats") });
  #store;
  #session;
  #filter = h("input", { type: "search", class: "search", placeholder: t("filter.chats"),
    "aria-label": t("filter.chats") });
  #list = h("ul", { class: "rows" });
  #none = emptyState("chats", t("chats.none"), t("chats.noneText"),
    h("a", { class: "button primary", href: "#/people" }, t("chats.find")));
  #noMatch = h("p", { class: "quiet padded" }, t("chats.noMatch"));

  constructor({ store, session }) {
    this.#store = store;
    this.#session = session;
    this.element.append(h("header", { class: "panel-head" }, h("h2", {}, t("chats")),
      h("a", { class: "icon-button", href: "#/people", title: t("find.label"),
        "aria-label": t("find.label") }, icon("plus"))),
      h("div", { class: "panel-tools" }, this.#filter), this.#list, this.#none, this.#noMatch);
    arrowKeys(this.#list);
    const render = perFrame(() => this.#render());
    this.#filter.addEventListener("input", render);
    for (const topic of ["conversations", "unread", "open"]) store.on(topic, render);
    // Yesterday begins at midnight.
    setInterval(render, 60000);
    render();
  }

  focus() {
    this.#filter.focus();
  }

  #render() {
    if (!this.#store.me) return;
    const wanted = this.#filter.value.trim().toLowerCase();
    const all = this.#store.sorted();
    const shown = all.filter((one) => this.#store.nameOf(one).toLowerCase().includes(wanted))
      .slice(0, SHOWN);
    this.#none.hidden = all.length > 0;
    this.#noMatch.hidden = !all.length || shown.length > 0;
    reconcile(this.#list, shown, (one) => one.key, (one, old) => this.#row(one, old));
  }

  #row(one, old) {
    const store = this.#store;
    const name = store.nameOf(one);
    const online = store.friends.get(one.id)?.state === "online" && one.kind === "u";
    const open = one === store.open;
    const typing = [...one.typing.values()].some((who) => who.until > Date.now());
    const when = one.at ? whenOf(one.at) : "";
    const draft = !open && one.draft;
    const last = draft || (one.last?.text ?? "");
    const prefix = draft ? t("draft") : one.last?.mine ? `${t("you")}:`
      : one.kind === "g" && one.last ? `${one.last.name}:` : "";
    const face = JSON.stringify([name, online, open, typing, when, prefix, last, one.unread]);
    if (old?.face === face) return old;
    const preview = typing ? h("span", { class: "preview typing" }, t("typing"))
      : h("span", { class: `preview${draft ? " draft" : ""}` },
        prefix && h("b", {}, prefix, " "), last.replace(/\s+/g, " "));
    const row = h("a", { class: "row", href: `#/${one.kind}/${one.id}` },
      avatar(one.key, name, online),
      h("span", { class: "row-main" },
        h("span", { class: "row-top" }, h("span", { class: "row-name" }, name),
          h("time", { class: "row-time" }, when)),
        h("span", { class: "row-bottom" }, preview,
          one.unread > 0 && h("span", { class: "badge", "aria-label": t("unread", { n: one.unread }) },
            one.unread > 99 ? "99+" : String(one.unread)))));
    if (open) row.setAttribute("aria-current", "true");
    // The same list item is kept, so that the focus stays where it was.
    const focused = old?.contains(document.activeElement);
    const item = old ?? h("li", {});
    item.replaceChildren(row);
    if (focused) row.focus();
    item.face = face;
    return item;
  }
}
