// The account's life: register, log in, stay logged in, and what the server sends meanwhile.

import { Emitter } from "./emitter.js";
import { idOf } from "./json.js";
import * as P from "./protocol.js";
import { Shelf, who } from "./storage.js";
import { messageOf } from "./messages.js";
import { Pushes } from "./pushes.js";

const PAGE = 50, LIST_PAGE = 500, CONVERSATIONS = 100;

const pause = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

/** Phases: `out` (asks for a login), `starting` (a kept token is tried), `in`, `elsewhere` (the
    account is in use in another place). Emits `phase`, `message` {conversation, message} and
    `notice`. */
export class Session extends Emitter {
  phase = "out";
  problem = null;           // the Refusal that led back to the login form
  #credentials = null;      // {id, token} or, from a server without tokens, {id, password}
  #takeover = false;
  #shelf = null;
  #logins = 0;
  #pushes;

  constructor(connection, store, outbox) {
    super();
    this.connection = connection;
    this.store = store;
    this.outbox = outbox;
    this.#pushes = new Pushes(this);
    connection.on("open", () => this.#resume());
    connection.on("lost", () => {
      // A form that waits for somebody needs no connection.
      if (this.phase === "out") connection.stop();
    });
    connection.on("message", (message) => this.#pushes.take(message));
    outbox.on("answered", ({ entry, state }) => this.#marked(entry, state));
    outbox.on("failed", (entry) => this.#marked(entry, "failed"));
    outbox.on("changed", (entry) => this.#marked(entry, "sending"));
  }

  get logins() { return this.#logins; }
  get online() { return this.connection.state === "online"; }
  get me() { return this.store.me; }

  /** At the start of the page: log in by what the last time left, or ask. */
  start() {
    const last = who.get();
    const token = last && new Shelf(last.id).get("token");
    if (token) {
      this.#credentials = { id: last.id, token };
      this.#begin(last);
      this.#enter("starting");
      this.connection.start();
    } else {
      this.#enter("out");
    }
  }

  async register(name, password, invite) {
    await this.connection.ready();
    const ack = await this.connection.request(P.REG, { name, password, invite });
    return idOf(ack.id);
  }

  async login(id, password) {
    await this.connection.ready();
    await this.#login({ id, password });
  }

  /** Take the account over from wherever it is in use. */
  takeOver() {
    this.#takeover = true;
    this.#enter("starting");
    this.connection.start();
  }

  /** Go back to the login form, keeping what is kept of the account. */
  giveUp() {
    this.#leave(false);
  }

  async logout() {
    try {
      const { tokens } = await this.connection.request(P.TOKENS);
      const current = tokens.find((token) => token.current);
      if (current) await this.connection.request(P.REVOKE, { token: current.id });
    } catch {
      // Without a connection, or on a server without tokens, forgetting it here is all there is.
    }
    try {
      await this.connection.request(P.LOGINOUT);
    } catch {
      // The connection is going away in any case.
    }
    this.#leave(true);
    this.connection.loggedOut();
  }

  /** End the account for good; answers with what was deleted: names and counts. */
  async deleteAccount(password) {
    const { deleted } = await this.connection.request(P.DELETE_ACCOUNT, { password });
    who.forget();
    this.#leave(true);
    this.connection.loggedOut();
    return deleted;
  }

  /** The server gave another token (the password was changed). */
  renewToken(token) {
    if (!token) return;
    this.#credentials = { id: this.me.id, token };
    this.#shelf.set("token", token);
  }

  request(msgid, fields) {
    return this.connection.request(msgid, fields);
  }

  /** A request whose refusal does not matter: the answer, or null. */
  hint(msgid, fields) {
    return this.request(msgid, fields).catch(() => null);
  }

  reloadFriends() {
    return this.#pages(P.FRIENDS, "friends", (page, first) => this.store.setFriends(page, first));
  }

  say(conversation, text) {
    const entry = this.outbox.add(conversation, text);
    this.store.place(conversation, this.#entryMessage(entry));
  }

  retry(conversation, message) {
    conversation.remove(message.key);
    this.outbox.retry(message.cid);
    message.mark = "sending";
    this.store.place(conversation, message);
  }

  discard(conversation, message) {
    conversation.remove(message.key);
    this.outbox.discard(message.cid);
    this.store.changed(conversation);
  }

  /** Have the newest page of a conversation on the screen. */
  async loadNewest(conversation) {
    if (conversation.loading || conversation.fetched === this.#logins || !this.online) return;
    const login = conversation.fetched = this.#logins;
    await this.#load(conversation, "0", (page, ack) => {
      const joined = conversation.mergeNewest(page, login);
      if (!joined || !conversation.loaded) this.#older(conversation, ack);
      conversation.loaded = true;
      const newest = page.at(-1);
      if (newest) this.store.summarise(conversation, newest);
    });
    if (!conversation.loaded) conversation.fetched = 0;
  }

  /** One more page of the past; true when something was added. */
  async loadOlder(conversation) {
    if (!conversation.loaded || !conversation.more || !this.online) return false;
    const before = conversation.messages.length;
    const from = conversation.before;
    await this.#load(conversation, from, (page, ack) => {
      conversation.prepend(page);
      this.#older(conversation, ack);
    });
    if (conversation.messages.length > before) return true;
    return conversation.before !== from && this.loadOlder(conversation);
  }

  #older(conversation, ack) {
    const oldest = ack.messages.at(-1);
    conversation.more = Boolean(ack.more) && Boolean(oldest);
    if (oldest) conversation.before = idOf(oldest.stamp);
  }

  async #load(conversation, before, use) {
    if (conversation.loading) return;
    conversation.loading = true;
    this.store.emit("conversation", conversation);
    const target = conversation.kind === "g" ? "groupid" : "toid";
    try {
      const ack = await this.request(P.HISTORY, { [target]: conversation.id, before, limit: PAGE });
      const page = ack.messages.map((one) => messageOf(one, this.me, 0)).reverse();
      if (ack.gap && page.length) page[0].gap = true;
      use(page, ack);
    } catch (problem) {
      if (problem.retryAfter) await pause(problem.retryAfter);
      else if (problem.errno) conversation.more = false;
      if (problem.errno === P.UNKNOWN_MSGID) conversation.loaded = true;
    } finally {
      conversation.loading = false;
      this.store.changed(conversation);
    }
  }

  #entryMessage(entry) {
    return {
      key: `${this.me.id} ${entry.cid}`, cid: entry.cid, id: this.me.id, name: this.me.name,
      text: entry.text, at: entry.at, mine: true, login: this.#logins,
      mark: entry.errno ? "failed" : "sending", errno: entry.errno,
    };
  }

  #marked(entry, mark) {
    const conversation = this.store.conversation(entry.kind + entry.to);
    const message = conversation.byKey.get(`${this.me.id} ${entry.cid}`);
    if (message) {
      message.errno = entry.errno;
      // Said in this login, whenever it was written: the history may not have it yet.
      message.login = this.#logins;
    }
    conversation.mark(entry.cid, mark, this.me.id);
    this.store.changed(conversation);
  }

  #enter(phase, problem = null) {
    this.phase = phase;
    this.problem = problem;
    this.emit("phase", phase);
  }

  #begin(me) {
    if (this.me?.id === me.id) return;
    this.#shelf = new Shelf(me.id);
    this.store.begin(me, this.#shelf);
    this.#loadUnsent();
  }

  #loadUnsent() {
    const entries = this.outbox.load(this.#shelf);
    const unsent = new Set(entries.map((entry) => entry.cid));
    for (const conversation of this.store.conversations.values()) {
      for (const message of conversation.messages) {
        // Another tab of this account has sent it meanwhile.
        if (message.mark === "sending" && !unsent.has(message.cid)) message.mark = "stored";
      }
    }
    for (const entry of entries) {
      this.store.place(this.store.conversation(entry.kind + entry.to), this.#entryMessage(entry));
    }
  }

  #leave(forget, problem = null) {
    this.#credentials = null;
    this.outbox.suspend();
    this.store.end(forget);
    this.#enter("out", problem);
  }

  async #resume() {
    if (!this.#credentials) return;
    try {
      await this.#login(this.#credentials);
    } catch (problem) {
      if (problem.errno === P.REFUSED) {
        this.#shelf.set("token", null);
        this.#leave(false, problem);
      } else if (problem.errno !== P.IN_USE) {
        this.connection.comeBack(problem.retryAfter || 3);
      }
    }
  }

  async #login(credentials) {
    const takeover = this.#takeover || undefined;
    let ack;
    try {
      ack = await this.request(P.LOGIN, { ...credentials, proto: 2, takeover });
    } catch (problem) {
      if (problem.errno === P.IN_USE) {
        this.#credentials = credentials;
        this.displaced();
      }
      throw problem;
    }
    this.#takeover = false;
    this.#logins += 1;
    this.connection.loggedIn();
    const me = { id: idOf(ack.id), name: ack.name };
    who.set(me);
    this.#begin(me);
    this.#credentials = credentials;
    this.renewToken(ack.token);
    this.store.setFriends(ack.friends ?? [], true);
    this.store.setGroups(ack.groups ?? [], true);
    this.#loadUnsent();
    this.outbox.resume();
    this.#enter("in");
    this.#sync(ack);
  }

  /** What the login's answer does not hold. */
  async #sync(ack) {
    const [, , requests] = await Promise.all([
      this.hint(P.PRESENCE, { watch: true }),
      this.reloadFriends(),
      this.hint(P.REQUESTS, { limit: LIST_PAGE }),
      this.#conversations(),
      ack.more_groups
        && this.#pages(P.GROUPS, "groups", (page, first) => this.store.setGroups(page, first)),
    ]);
    if (requests) this.store.setRequests(requests.requests, true);
  }

  /** The newest conversations, in as many answers as that takes. */
  async #conversations() {
    let before = "0", left = CONVERSATIONS;
    while (left > 0) {
      const ack = await this.hint(P.CONVERSATIONS, { before, limit: left });
      const page = ack?.conversations ?? [];
      for (const one of page) {
        const key = one.groupid === undefined ? `u${idOf(one.toid)}` : `g${idOf(one.groupid)}`;
        this.store.summarise(this.store.conversation(key, one.name), messageOf(one.last, this.me, 0));
      }
      if (!ack?.more || !page.length) return;
      left -= page.length;
      before = idOf(page.at(-1).last.stamp);
    }
  }

  async #pages(msgid, field, use) {
    let after = "0", first = true;
    try {
      for (;;) {
        const ack = await this.request(msgid, { after, limit: LIST_PAGE });
        use(ack[field], first);
        first = false;
        if (!ack.more || !ack[field].length) return;
        after = idOf(ack[field].at(-1).id);
      }
    } catch {
      // The login's answer has the first 500; the next login tries again.
    }
  }

  /** Another login took this account over. */
  displaced() {
    this.connection.stop();
    this.#enter("elsewhere");
  }
}
