// The conversation on the screen: who it is with, its messages, and where one writes.

import { h, icon, perFrame } from "../dom.js";
import { avatar } from "../format.js";
import { t } from "../i18n.js";
import { FIND_USER, READ } from "../protocol.js";
import { Composer } from "./composer.js";
import { attempt, iconButton, part } from "./parts.js";
import { Timeline } from "./timeline.js";

const TELL_AFTER = 200;   // ms until the other is told what has been read

export class Room {
  #page;
  #conversation = null;
  #unreadBefore = 0;
  #timeline;
  #composer;
  #back = h("a", { class: "icon-button back", "aria-label": t("back") }, icon("back"));
  #about = h("button", { class: "about", type: "button", on: { click: () => this.#showAbout() } });
  #more;
  #typing = h("div", { class: "typing-line" });
  #notIn = h("p", { class: "not-in" }, t("group.notIn"));
  #content;
  #none;
  #face = "";
  #telling = 0;

  /** `element` is where it goes; what stands there is shown while no conversation is. */
  constructor(page, element) {
    this.#page = page;
    const { session, store } = page;
    this.#none = element.firstChild;
    this.#timeline = new Timeline({
      older: () => session.loadOlder(this.#conversation),
      seen: () => this.#seen(),
      retry: (message) => session.retry(this.#conversation, message),
      discard: (message) => session.discard(this.#conversation, message),
    });
    this.#composer = new Composer(page, () => {
      this.#conversation.fresh = null;
      this.#timeline.toEnd();
    });
    const more = this.#more = iconButton("more", t("account"), () => this.#showAbout());
    this.#content = h("div", { class: "room-content", hidden: true },
      h("header", { class: "room-head" }, this.#back, this.#about, more),
      this.#timeline.element,
      h("div", { class: "room-foot" }, this.#timeline.latest, this.#typing, this.#notIn, this.#composer.element));
    element.append(this.#content);
    const head = perFrame(() => this.#head());
    store.on("conversation", (one) => {
      if (one !== this.#conversation) return;
      this.#freshLine();
      this.#timeline.update();
      head();
    });
    store.on("people", head);
    store.on("groups", head);
    session.on("message", ({ conversation }) => {
      if (conversation === this.#conversation) this.#timeline.missed();
    });
    for (const event of ["focus", "visibilitychange"]) {
      window.addEventListener(event, () => this.#seen(), { capture: true });
    }
  }

  /** Whether somebody sees the newest message of this conversation as it comes. */
  looksAt(conversation) {
    return conversation === this.#conversation && !document.hidden && document.hasFocus()
      && this.#timeline.atEnd;
  }

  show(conversation, backTo) {
    this.#back.href = backTo;
    if (conversation === this.#conversation && conversation) {
      this.refresh();
      return;
    }
    const { store } = this.#page;
    const left = this.#conversation;
    this.#composer.hide();
    this.#timeline.hide();
    this.#conversation = store.open = conversation;
    if (left) {
      left.fresh = null;
      left.shrink();
    }
    this.#content.hidden = !conversation;
    this.#none.hidden = Boolean(conversation);
    store.emit("conversations");
    if (!conversation) return;
    this.#face = "";
    this.#unreadBefore = conversation.unread;
    this.#head();
    this.#freshLine();
    this.#composer.show(conversation);
    this.#timeline.show(conversation, store.nameOf(conversation));
    this.refresh();
  }

  /** Have what is new, after a login too. */
  async refresh() {
    const conversation = this.#conversation;
    const { session, store } = this.#page;
    if (!conversation || !session.online) return;
    session.loadNewest(conversation);
    this.#head();
    const unnamed = conversation.kind === "u" && !conversation.name && !store.friends.has(conversation.id);
    if (unnamed) {
      const found = await session.hint(FIND_USER, { userid: conversation.id });
      if (found) store.conversation(conversation.key, found.user.name);
    }
  }

  #showAbout() {
    return attempt(() => this.#showCard());
  }

  async #showCard() {
    const { kind, id } = this.#conversation;
    const name = this.#page.store.nameOf(this.#conversation);
    if (kind === "g") (await part(import("./group.js"))).showGroup(this.#page, id);
    else (await part(import("./person.js"))).showPerson(this.#page, id, name);
  }

  /** The line above what was not read when one came in; the messages may come after it. */
  #freshLine() {
    const conversation = this.#conversation;
    if (!this.#unreadBefore || !conversation.loaded) return;
    if (!conversation.byKey.has(conversation.fresh)) {
      const theirs = conversation.messages.filter((message) => !message.mine && !message.event);
      conversation.fresh = theirs.at(-this.#unreadBefore)?.key ?? theirs[0]?.key ?? null;
    }
    this.#unreadBefore = 0;
  }

  #head() {
    const one = this.#conversation;
    const { store } = this.#page;
    if (!one || !store.me) return;
    const name = store.nameOf(one);
    const group = one.kind === "g" ? store.groups.get(one.id) : null;
    const state = one.kind === "u" ? store.friends.get(one.id)?.state : undefined;
    const typing = [...one.typing.values()].filter((who) => who.until > Date.now());
    const words = !typing.length ? "" : typing.length === 1
      ? t("typing.one", { name: typing[0].name }) : t("typing.many", { n: typing.length });
    const below = group ? t("group.members", { n: group.members })
      : one.id === store.me.id ? t("room.self") : state ? t(state) : t("number", { id: one.id });
    const face = JSON.stringify([one.key, name, below, state, words, Boolean(group)]);
    if (face === this.#face) return;
    this.#face = face;
    this.#composer.name(name);
    const label = t(group ? "group.about" : "profile", { name });
    this.#about.replaceChildren(avatar(one.key, name, state === "online"),
      h("span", { class: "row-main" }, h("h2", { class: "row-name" }, name),
        h("span", { class: `preview${state === "online" ? " online" : ""}` }, below)));
    this.#about.title = this.#more.title = label;
    this.#more.setAttribute("aria-label", label);
    this.#typing.replaceChildren(...(words
      ? [h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), words] : []));
    const outside = one.kind === "g" && !group && this.#page.session.online;
    this.#notIn.hidden = !outside;
    this.#composer.element.hidden = outside;
  }

  /** What came last is on the screen: nothing is unread, and the other may know it. */
  #seen() {
    const one = this.#conversation;
    if (!one || !this.looksAt(one)) return;
    this.#page.store.clearUnread(one);
    if (one.kind === "u") this.#telling ||= setTimeout(() => this.#tell(one), TELL_AFTER);
  }

  #tell(one) {
    this.#telling = 0;
    const { session } = this.#page;
    const last = one.messages.findLast((message) => !message.mine && !message.event);
    if (!last || last.cid === one.readSent || !session.online) return;
    one.readSent = last.cid;
    session.hint(READ, { toid: one.id, upto: last.cid });
  }
}
