// One's own card: number, notifications, password, where one is logged in, logging out.

import { h } from "../dom.js";
import { avatar, whenOf } from "../format.js";
import { explain, t } from "../i18n.js";
import { askToNotify, notifications } from "../notify.js";
import * as P from "../protocol.js";
import { attempt, button, dialog, form, numberTag, passwordField, sure, toast } from "./parts.js";

export function showAccount(page) {
  const { session, store, outbox } = page;
  const { me } = store;
  const notify = button("", async () => {
    await askToNotify();
    say();
  }, { symbol: "bell" });
  const say = () => {
    const state = notifications();
    notify.hidden = state === "none";
    notify.disabled = state !== "default";
    notify.querySelector("span").textContent = t(state === "granted" ? "notify.isOn"
      : state === "denied" ? "notify.denied" : "notify.on");
  };
  say();
  const box = dialog(me.name,
    h("div", { class: "portrait" }, avatar(`u${me.id}`, me.name, session.online),
      h("div", {}, numberTag(me.id), h("p", { class: "quiet" }, t("account.hint")))),
    h("div", { class: "menu" }, notify,
      button(t("password.change"), () => { box.close(); changePassword(page); }, { symbol: "key" }),
      button(t("devices"), () => { box.close(); showDevices(page); }, { symbol: "devices" }),
      button(t("logout"), async () => {
        const n = outbox.waiting;
        if (n && !await sure(t("logout.unsent", { n }), t("logout"))) return;
        box.close();
        await session.logout();
      }, { symbol: "exit" }),
      button(t("delete"), () => { box.close(); deleteAccount(page); }, { symbol: "bin", kind: "danger" })));
}

function changePassword({ session }) {
  const old = passwordField(t("password.old"), "current-password");
  const fresh = passwordField(t("password.new"), "new-password");
  const box = dialog(t("password.change"), form([old.row, fresh.row], t("password.change"), async () => {
    const ack = await session.request(P.PASSWORD,
      { password: old.input.value, newpassword: fresh.input.value });
    session.renewToken(ack.token);
    box.close();
    toast(t("password.done"));
  }, wrongPassword));
}

function deleteAccount({ session, store }) {
  const { name } = store.me;
  const password = passwordField(t("password.old"), "current-password");
  dialog(t("delete"),
    h("p", {}, t("delete.what", { friends: t("deleted.friends", { n: store.friends.size }),
      groups: t("deleted.groups", { n: store.groups.size }) })),
    h("p", { class: "quiet" }, t("delete.stays")),
    form([password.row], t("delete"), async () => {
      if (!await sure(t("delete.sure", { name }), t("delete.yes"))) return;
      const deleted = await session.deleteAccount(password.input.value);
      const box = dialog(t("deleted", { name }), h("p", {}, t("deleted.what")),
        h("ul", {}, ...Object.entries(deleted).filter(([, n]) => n)
          .map(([what, n]) => h("li", {}, t(`deleted.${what}`, { n })))),
        button(t("close"), () => box.close(), { kind: "primary wide" }));
      box.classList.add("small");
    }, wrongPassword));
}

const wrongPassword = (problem) => (problem.errno === P.REFUSED ? t("password.wrong") : explain(problem));

async function showDevices({ session }) {
  const list = h("ul", { class: "rows" });
  const box = dialog(t("devices"), list);
  const worked = await attempt(async () => {
    const { tokens } = await session.request(P.TOKENS);
    for (const token of tokens) {
      const used = Date.parse(`${token.used.replace(" ", "T")}Z`);
      const row = h("li", { class: "member" },
        h("span", { class: "row-main" },
          h("span", { class: "row-name" }, token.address),
          h("span", { class: "preview" }, token.current ? t("devices.this")
            : t("devices.used", { time: Number.isNaN(used) ? token.used : whenOf(used) }))),
        !token.current && button(t("devices.end"), () => attempt(async () => {
          await session.request(P.REVOKE, { token: token.id });
          row.remove();
        })));
      list.append(row);
    }
  });
  if (!worked) box.close();
}
