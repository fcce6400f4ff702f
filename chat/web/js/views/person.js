// One person's card, and the list of those one has blocked.

import { h } from "../dom.js";
import { avatar } from "../format.js";
import { t } from "../i18n.js";
import { idOf } from "../json.js";
import * as P from "../protocol.js";
import { attempt, button, dialog, field, numberTag, sure, toast } from "./parts.js";

export function showPerson({ session, store }, id, name) {
  const friend = store.friends.get(id);
  const mine = id === store.me.id;
  const note = field(t("note"), { maxLength: 200 });
  const actions = h("div", { class: "choices" });
  const box = dialog(name, h("div", { class: "portrait" },
    avatar(`u${id}`, name, friend?.state === "online"), h("div", {}, numberTag(id),
      h("p", { class: "quiet" }, mine ? t("room.self") : friend ? t(friend.state) : ""))),
  !friend && !mine && note.row, actions);
  const act = async (work) => { if (await attempt(work)) box.close(); };

  actions.append(button(t("message"), () => {
    store.conversation(`u${id}`, name);
    box.close();
    location.hash = `#/u/${id}`;
  }, { kind: friend || mine ? "primary" : "", symbol: "chats" }));
  if (mine) return;
  if (friend) {
    actions.append(button(t("removeFriend"), async () => {
      if (!await sure(t("removeFriend.sure", { name }), t("removeFriend"))) return;
      act(async () => {
        await session.request(P.REMOVE_FRIEND, { friendid: id });
        store.dropFriend(id);
      });
    }));
  } else {
    actions.append(button(t("addFriend"), () => act(async () => {
      const ack = await session.request(P.FRIEND_REQUEST, { friendid: id, note: note.input.value.trim() });
      if (ack.friends) {
        store.dropRequest(id);
        await session.reloadFriends();
        toast(t("nowFriends", { name }));
      } else {
        toast(t("requestSent", { name }));
      }
    }), { kind: "primary", symbol: "friend" }));
  }
  actions.append(button(t("block"), async () => {
    if (!await sure(t("block.sure", { name }), t("block"))) return;
    act(async () => {
      await session.request(P.BLOCK, { userid: id, block: true });
      store.dropRequest(id);
      toast(t("blocked", { name }));
    });
  }, { symbol: "forbid" }));
}

export async function showBlocked({ session }) {
  const list = h("ul", { class: "rows" });
  const box = dialog(t("blockedPeople"), list);
  const worked = await attempt(async () => {
    const { blocked } = await session.request(P.BLOCKED);
    if (!blocked.length) list.append(h("li", { class: "quiet" }, t("blockedPeople.none")));
    for (const user of blocked) {
      const row = h("li", { class: "member" }, avatar(`u${idOf(user.id)}`, user.name),
        h("span", { class: "row-name" }, user.name),
        button(t("unblock"), () => attempt(async () => {
          await session.request(P.BLOCK, { userid: idOf(user.id), block: false });
          row.remove();
          toast(t("unblocked", { name: user.name }));
        })));
      list.append(row);
    }
  });
  if (!worked) box.close();
}
