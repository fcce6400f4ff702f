// The messages of a conversation. However many there are, at most WINDOW_MOST are on the page;
// the window moves over them as one scrolls, and what one looks at stays where it is.

import { h, icon, perFrame, reconcile } from "../dom.js";
import { t } from "../i18n.js";
import { bubble, placeOf } from "./bubble.js";

const WINDOW = 80, WINDOW_MOST = 160, STEP = 40;    // messages
const NEAR = 900, AT_END = 48;                      // px
const MANY = 40, REST = 150;                        // new messages in a picture; ms until the next

export class Timeline {
  element = h("div", { class: "timeline", tabIndex: 0, role: "region" });
  #list = h("ol", { class: "items" });
  #head = h("div", { class: "timeline-head" });
  #inner = h("div", { class: "timeline-inner" }, this.#head, this.#list);
  #conversation = null;
  #name = "";
  #top = null;          // the first message of the window
  #from = 0;
  #size = WINDOW;
  #stick = true;        // at the end, and staying there
  #acts;
  #missed = 0;
  latest = h("button", { class: "latest", type: "button", hidden: true,
    on: { click: () => this.toEnd() } });
  #draw = perFrame(() => this.#update());
  #resting = false;     // so much came at once that the next picture waits

  /** `acts`: `older()`, `seen()` when the end is on the screen, `retry` and `discard`. */
  constructor(acts) {
    this.#acts = acts;
    this.element.append(this.#inner);
    this.element.addEventListener("scroll", perFrame(() => this.#scrolled()), { passive: true });
    new ResizeObserver(() => {
      if (this.#stick) this.#jump();
      else this.#scrolled();
    }).observe(this.element);
  }

  get atEnd() { return this.#stick; }

  update() {
    if (!this.#resting) this.#draw();
  }

  show(conversation, name) {
    this.#conversation = conversation;
    this.#name = name;
    this.element.setAttribute("aria-label", t("room.messages", { name }));
    this.toEnd();
  }

  hide() {
    this.#conversation = null;
  }

  toEnd() {
    this.#stick = true;
    this.#size = WINDOW;
    this.#top = null;
    this.#missed = 0;
    if (this.#conversation) this.#update();
  }

  /** A message came while one reads further up. */
  missed() {
    if (!this.#stick) this.#missed += 1;
    this.update();
  }

  #update() {
    const conversation = this.#conversation;
    if (!conversation) return;
    const all = conversation.messages;
    let from = 0;
    if (this.#stick) {
      from = Math.max(0, all.length - this.#size);
    } else {
      from = this.#top ? all.lastIndexOf(this.#top) : -1;
      if (from < 0) from = Math.min(this.#from, Math.max(0, all.length - this.#size));
    }
    const shown = all.slice(from, from + this.#size);
    const anchor = this.#stick ? null : this.#anchor();
    let index = from, made = 0;
    const inGroup = conversation.kind === "g";
    this.#headLine(conversation, from);
    reconcile(this.#list, shown, (message) => message.key, (message, old) => {
      const place = placeOf(message, all[index - 1], conversation.fresh);
      index += 1;
      const face = `${message.mark} ${message.errno} ${place.day} ${place.line} ${place.first} ${message.gap}`;
      if (old?.face === face && old.message === message) return old;
      const item = bubble(message, place, inGroup, this.#acts);
      made += 1;
      if (!old && message.login && this.#stick && index > all.length - 3) item.classList.add("new");
      item.face = face;
      item.message = message;
      return item;
    });
    this.#from = from;
    this.#top = shown[0] ?? null;
    if (this.#stick) this.#jump();
    else if (anchor) this.#restore(anchor);
    this.#check();
    if (made >= MANY && this.#stick) this.#rest();
  }

  #rest() {
    this.#resting = true;
    setTimeout(() => {
      this.#resting = false;
      this.#draw();
    }, REST);
  }

  #headLine(conversation, from) {
    const { loading, loaded, more, messages } = conversation;
    const state = loading && (from === 0 || !loaded) ? "loading" : from > 0 || more ? ""
      : messages.length ? "beginning" : "empty";
    this.#head.className = `timeline-head ${state}`;
    this.#head.textContent = state === "loading" ? t("room.loading")
      : state === "beginning" ? t("room.beginning")
        : state === "empty" ? t(conversation.kind === "g" ? "room.emptyGroup" : "room.empty", { name: this.#name })
          : "";
  }

  /** The topmost item that is seen, and where it is. */
  #anchor() {
    const top = this.element.getBoundingClientRect().top;
    for (const item of this.#list.children) {
      const box = item.getBoundingClientRect();
      if (box.bottom > top) return { item, key: item.message.key, top: box.top };
    }
    return null;
  }

  #restore({ key, top }) {
    const item = this.#list.nodesByKey.get(key);
    if (item) this.element.scrollTop += item.getBoundingClientRect().top - top;
  }

  #jump() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    const all = this.#conversation?.messages ?? [];
    // Who is at the end stays there while more comes than is drawn yet.
    const whole = this.#stick || this.#from + this.#size >= all.length;
    this.#stick = whole && scrollHeight - scrollTop - clientHeight < AT_END;
    this.#check();
  }

  /** Move the window where one comes near its edge, and ask for more of the past. */
  #check() {
    const conversation = this.#conversation;
    if (!conversation || !this.element.isConnected) return;
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    const all = conversation.messages;
    if (this.#stick) this.#missed = 0;
    this.latest.hidden = this.#stick;
    if (!this.#stick) this.#latestLabel();
    if (this.#stick) this.#acts.seen();
    if (scrollTop < NEAR && this.#from > 0 && !this.#stick) {
      const from = Math.max(0, this.#from - STEP);
      this.#size = Math.min(WINDOW_MOST, this.#size + this.#from - from);
      this.#top = all[from];
      this.update();
    } else if (scrollTop < NEAR && this.#from === 0) {
      this.#acts.older();
    } else if (scrollHeight - scrollTop - clientHeight < NEAR && this.#from + this.#size < all.length) {
      this.#top = all[Math.min(this.#from + STEP, all.length - 1)];
      this.update();
    }
  }

  #latestLabel() {
    const label = this.#missed ? t("room.latestNew", { n: this.#missed }) : t("room.latest");
    if (this.latest.title === label) return;
    this.latest.title = label;
    this.latest.setAttribute("aria-label", label);
    this.latest.replaceChildren(icon("down"));
    if (this.#missed) this.latest.append(h("span", {}, label));
  }
}
