// One's groups; making one, and joining one by its number.

import { h, perFrame, reconcile } from "../dom.js";
import { avatar } from "../format.js";
import { explain, t } from "../i18n.js";
import { idOf } from "../json.js";
import * as P from "../protocol.js";
import { arrowKeys, dialog, emptyState, field, form, iconButton } from "./parts.js";
import { showGroup } from "./group.js";

export class Groups {
  element = h("section", { class: "panel", "aria-label": t("groups") });
  #page;
  #list = h("ul", { class: "rows scroll" });
  #none = emptyState("groups", t("groups.none"), t("groups.noneText"));

  constructor(page) {
    this.#page = page;
    this.element.append(h("header", { class: "panel-head" }, h("h2", {}, t("groups")),
      iconButton("join", t("group.join"), () => this.#join()),
      iconButton("plus", t("group.create"), () => this.#create())),
    this.#list, this.#none);
    arrowKeys(this.#list);
    const render = perFrame(() => this.#render());
    page.store.on("groups", render);
    render();
  }

  #create() {
    const { session, store } = this.#page;
    const name = field(t("group.name"), { maxLength: 50, required: true });
    const desc = field(t("group.desc"), { maxLength: 200 });
    const box = dialog(t("group.create"), form([name.row, desc.row], t("group.createButton"), async () => {
      const groupname = name.input.value.trim(), groupdesc = desc.input.value.trim();
      const ack = await session.request(P.CREATE_GROUP, { groupname, groupdesc });
      const id = idOf(ack.groupid);
      store.setGroups([{ id, groupname, groupdesc, role: "creator", members: 1 }], false);
      box.close();
      location.hash = `#/g/${id}`;
      showGroup(this.#page, id);
    }, (problem) => (problem.errno === 1 ? t("errno.1.name") : explain(problem))));
  }

  #join() {
    const { session, store } = this.#page;
    const number = field(t("group.joinHint"), { inputMode: "numeric", maxLength: 19, required: true });
    const box = dialog(t("group.join"), form([number.row], t("group.joinButton"), async () => {
      const wanted = number.input.value.trim();
      if (!/^[1-9]\d{0,18}$/.test(wanted)) throw new P.Refusal(-1, t("login.badId"));
      const { group } = await session.request(P.ADD_GROUP, { groupid: wanted });
      if (group) store.setGroups([group], false);
      box.close();
      location.hash = `#/g/${wanted}`;
    }));
  }

  #render() {
    const { store } = this.#page;
    if (!store.me) return;
    const groups = [...store.groups.values()].sort((a, b) => a.name.localeCompare(b.name));
    this.#none.hidden = groups.length > 0;
    reconcile(this.#list, groups, (group) => group.id, (group, old) => {
      const face = JSON.stringify(group);
      if (old?.face === face) return old;
      const item = old ?? h("li", { class: "with-button" });
      item.replaceChildren(
        h("a", { class: "row", href: `#/g/${group.id}` }, avatar(`g${group.id}`, group.name),
          h("span", { class: "row-main" }, h("span", { class: "row-name" }, group.name),
            h("span", { class: "preview" },
              group.desc || t("group.members", { n: group.members })))),
        iconButton("more", t("group.about", { name: group.name }),
          () => showGroup(this.#page, group.id)));
      item.face = face;
      return item;
    });
  }
}
