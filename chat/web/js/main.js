// The start: the parts are made and know each other from here.

import { Connection } from "./connection.js";
import { language, t } from "./i18n.js";
import { notify } from "./notify.js";
import { Outbox } from "./outbox.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { Banner } from "./views/banner.js";
import { announce, toast } from "./views/parts.js";

document.documentElement.lang = language;
document.title = t("app");

const address = new URL("ws", document.baseURI);
address.protocol = address.protocol.replace("http", "ws");

const store = new Store();
const connection = new Connection(address.href, () => store.keep());
const outbox = new Outbox(connection);
const session = new Session(connection, store, outbox);
const page = { store, connection, outbox, session };

const stage = document.getElementById("stage");
document.body.prepend(new Banner(page).element);

let entry = null, shell = null;
let began = null;   // the id of the account that the shell shows

// An account that is being logged in again shows what is kept of it meanwhile.
const inside = () => session.phase === "in" || (session.phase === "starting" && store.me);

async function showEntry() {
  for (const box of document.querySelectorAll("dialog[open]")) box.close();
  began = null;
  const { Entry } = await import("./views/entry.js");
  if (inside()) return;
  entry ??= new Entry(session);
  stage.replaceChildren(entry.element);
  entry.show();
}

async function showShell() {
  if (began === store.me.id) return;
  began = store.me.id;
  const { Shell } = await import("./views/shell.js");
  if (!inside()) return;
  shell ??= new Shell(page);
  stage.replaceChildren(shell.element);
  shell.begin();
}

session.on("phase", () => (inside() ? showShell() : showEntry()));

session.on("message", ({ conversation, message }) => {
  if (shell?.looksAt(conversation)) {
    announce(t("heard", { name: message.name, text: message.text }));
    return;
  }
  store.countUnread(conversation, message);
  const where = conversation.kind === "g" ? `${message.name} · ${store.nameOf(conversation)}` : message.name;
  notify(conversation.key, where, message.text, () => {
    location.hash = `#/${conversation.kind}/${conversation.id}`;
  });
});
session.on("notice", toast);
addEventListener("pagehide", () => {
  if (session.online) store.keep();
});

session.start();
