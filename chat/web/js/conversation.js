// One conversation: its messages in order, what of it is read, and how pages of history fit in.

/** How far a message of one's own has come, in order. */
export const MARKS = ["failed", "sending", "pushed", "stored", "delivered", "read"];

const GROWN = 1000, KEPT = 200;

export class Conversation {
  /** `kind` is "u" (with a user) or "g" (a group). */
  constructor(kind, id, name = "") {
    this.kind = kind;
    this.id = id;
    this.key = kind + id;
    this.name = name;
    this.messages = [];
    this.byKey = new Map();
    this.last = null;       // {text, name, mine, mark}
    this.at = 0;            // of the last message, ms
    this.unread = 0;
    this.fresh = null;      // key of the first unread message, for the line above it
    this.draft = "";
    this.loaded = false;    // the newest page of history is here
    this.loading = false;
    this.fetched = 0;       // the login in which the newest page was asked for
    this.more = true;
    this.before = "0";
    this.got = null;        // cid of the last of one's own that was delivered
    this.read = null;       // and of the last that was read
    this.readSent = null;   // cid up to which the other has been told
    this.typing = new Map();   // user's id -> {name, until}
  }

  has(message) {
    return this.byKey.has(message.key);
  }

  append(message) {
    if (this.has(message)) return false;
    this.messages.push(message);
    this.byKey.set(message.key, message);
    return true;
  }

  remove(key) {
    const message = this.byKey.get(key);
    if (!message) return;
    this.byKey.delete(key);
    this.messages.splice(this.messages.indexOf(message), 1);
  }

  /** A page of older history, oldest first. */
  prepend(page) {
    const fresh = page.filter((message) => !this.has(message));
    for (const message of fresh) this.byKey.set(message.key, message);
    this.messages = fresh.concat(this.messages);
    this.#spreadMarks();
  }

  /** The newest page, oldest first: what is here and the page become one.

      Where they overlap both are kept in order. Where they do not, something was missed in
      between: what is older than this login goes, and comes again when one scrolls up.
      `login` counts logins; messages know in which they came. Answers whether the page was
      joined to what was there. */
  mergeNewest(page, login) {
    const place = new Map(page.map((message, index) => [message.key, index]));
    const overlaps = this.messages.some((message) => place.has(message.key));
    let here = this.messages;
    if (!overlaps && page.length) {
      here = here.filter((message) => message.login === login || message.mark === "sending"
        || message.mark === "failed");
    }
    const merged = [];
    let next = 0;
    const takePage = (end) => {
      for (; next < end; next += 1) {
        const known = this.byKey.get(page[next].key);
        if (known) known.stamp = page[next].stamp;
        merged.push(known ?? page[next]);
      }
    };
    let lastShared = -1;
    here.forEach((message, index) => { if (place.has(message.key)) lastShared = index; });
    here.forEach((message, index) => {
      const at = place.get(message.key);
      if (index > lastShared) takePage(page.length);
      if (at === undefined) merged.push(message);
      else takePage(Math.max(next, at + 1));
    });
    takePage(page.length);
    this.messages = merged;
    this.byKey = new Map(merged.map((message) => [message.key, message]));
    this.#spreadMarks();
    return overlaps;
  }

  /** `mark` holds for this message, and for all of one's own before it: messages arrive in the
      order in which they were accepted. */
  mark(cid, mark, me) {
    if (mark === "delivered") this.got = cid;
    if (mark === "read") this.read = this.got = cid;
    const message = this.byKey.get(`${me} ${cid}`);
    if (!message) return;
    message.mark = mark;
    if (mark === "delivered" || mark === "read") this.#raise(this.messages.indexOf(message), mark);
  }

  #raise(from, mark) {
    const rank = MARKS.indexOf(mark);
    for (let index = from; index >= 0; index -= 1) {
      const message = this.messages[index];
      if (!message.mine || message.mark === "failed" || message.mark === "sending") continue;
      if (index < from && MARKS.indexOf(message.mark) >= rank) break;
      if (MARKS.indexOf(message.mark) < rank) message.mark = mark;
    }
  }

  #spreadMarks() {
    for (const [cid, mark] of [[this.read, "read"], [this.got, "delivered"]]) {
      if (!cid) continue;
      const at = this.messages.findLastIndex((message) => message.mine && message.cid === cid);
      if (at >= 0) this.#raise(at, mark);
    }
  }

  /** Bound what is remembered of a conversation that is not looked at. */
  shrink() {
    if (this.messages.length <= GROWN || !this.loaded) return;
    this.messages = this.messages.slice(-KEPT);
    this.byKey = new Map(this.messages.map((message) => [message.key, message]));
    this.loaded = false;
    this.before = "0";
    this.more = true;
  }

  /** What stays over a reload. */
  summary() {
    const { kind, id, name, last, at, unread, got, read, readSent } = this;
    return { kind, id, name, last, at, unread, got, read, readSent };
  }

  static revive(summary) {
    return Object.assign(new Conversation(summary.kind, summary.id, summary.name), summary);
  }
}
