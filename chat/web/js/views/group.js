// One group's card: its number, its members, and what its creator can do.

import { h } from "../dom.js";
import { avatar } from "../format.js";
import { t } from "../i18n.js";
import { idOf } from "../json.js";
import * as P from "../protocol.js";
import { attempt, button, dialog, iconButton, numberTag, sure, toast } from "./parts.js";
import { showPerson } from "./person.js";

const PAGE = 100;

export function showGroup(page, groupid) {
  const { session, store } = page;
  const group = store.groups.get(groupid);
  if (!group) {
    toast(t("group.notIn"));
    return;
  }
  const members = h("ul", { class: "rows members" });
  const count = h("h3", { class: "rows-head" });
  const more = button(t("more"), () => load(last), { kind: "link" });
  const leave = button(t("group.leave"), leaveGroup, { kind: "danger", symbol: "exit" });
  const box = dialog(group.name, h("div", { class: "portrait" }, avatar(`g${groupid}`, group.name),
    h("div", {}, numberTag(groupid), h("p", { class: "quiet" }, t("group.numberHint")))),
  group.desc && h("p", { class: "desc" }, group.desc), count, members, more,
  h("div", { class: "choices" }, leave));
  const off = session.on("membership", (id) => { if (id === groupid) load("0"); });
  box.addEventListener("close", off);
  let last = "0";
  load("0");

  function member(one) {
    const id = idOf(one.id), mine = id === store.me.id;
    const act = (question, label, msgid) => async () => {
      if (!await sure(t(question, { name: one.name }), t(label))) return;
      await attempt(async () => {
        await session.request(msgid, { groupid, userid: id });
        if (msgid === P.HAND_OVER) group.role = "normal";
        await load("0");
      });
    };
    const owner = group.role === "creator" && !mine;
    return h("li", { class: "member" },
      h("button", { class: "person", type: "button", on: { click: () => showPerson(page, id, one.name) } },
        avatar(`u${id}`, one.name, one.state === "online"),
        h("span", { class: "row-main" }, h("span", { class: "row-name" }, mine ? `${one.name} (${t("you")})` : one.name),
          h("span", { class: "preview" }, one.role === "creator" ? t("group.creator") : t(one.state)))),
      owner && iconButton("key", t("group.handOver"), act("group.handOver.sure", "group.handOver", P.HAND_OVER)),
      owner && iconButton("close", t("group.remove"), act("group.remove.sure", "group.remove", P.REMOVE_MEMBER)));
  }

  async function load(after) {
    await attempt(async () => {
      const ack = await session.request(P.MEMBERS, { groupid, after, limit: PAGE });
      if (after === "0") members.replaceChildren();
      members.append(...ack.members.map(member));
      last = idOf(ack.members.at(-1)?.id ?? last);
      more.hidden = !ack.more;
      if (!ack.more) group.members = members.childElementCount;
      count.textContent = t("group.members", { n: group.members });
      store.emit("groups");
    });
  }

  async function leaveGroup() {
    if (group.role === "creator" && group.members > 1) {
      toast(t("group.handOverFirst"));
      return;
    }
    if (!await sure(t("group.leave.sure", { name: group.name }), t("group.leave"))) return;
    const left = await attempt(() => session.request(P.LEAVE_GROUP, { groupid }));
    if (!left) return;
    store.conversation(`g${groupid}`, group.name);
    store.dropGroup(groupid);
    box.close();
    location.hash = "#/groups";
  }
}
