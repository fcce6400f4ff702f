// What the page knows: conversations, friends, requests, groups. Views listen to it; only the
// session changes it.

import { Conversation } from "./conversation.js";
import { Emitter } from "./emitter.js";
import { idOf } from "./json.js";

const SEEN = 2000, SEEN_KEPT = 100, CONVERSATIONS_KEPT = 300, TYPING_FOR = 6000;

const friendOf = (friend) => ({ ...friend, id: idOf(friend.id), name: String(friend.name) });

const groupOf = (group) => ({
  id: idOf(group.id), name: String(group.groupname), desc: String(group.groupdesc ?? ""),
  role: group.role, members: group.members,
});

/** Emits `conversations` (their order or summaries), `conversation` (a Conversation whose
    messages, typing or name changed), `people`, `groups`, `unread`. */
export class Store extends Emitter {
  me = null;          // {id, name}
  conversations = new Map();
  friends = new Map();
  requests = new Map();
  groups = new Map();
  open = null;        // the Conversation on the screen
  #shelf = null;
  #seen = new Set();
  #seenBefore = new Set();
  #drafts = {};
  #draftTimer = 0;

  /** Become this account, with what the shelf remembers of it. */
  begin(me, shelf) {
    this.me = me;
    this.#shelf = shelf;
    const state = shelf.get("state") ?? {};
    this.conversations = new Map((state.conversations ?? [])
      .map((summary) => [summary.kind + summary.id, Conversation.revive(summary)]));
    this.#seen = new Set();
    this.#seenBefore = new Set(state.seen ?? []);
    this.#drafts = shelf.get("drafts") ?? {};
    for (const [key, text] of Object.entries(this.#drafts)) this.conversation(key).draft = text;
    this.friends.clear();
    this.requests.clear();
    this.groups.clear();
    this.open = null;
    for (const topic of ["conversations", "people", "groups", "unread"]) this.emit(topic);
  }

  /** Write down what has to outlive the page. */
  keep() {
    if (!this.#shelf) return;
    const conversations = this.sorted().slice(0, CONVERSATIONS_KEPT).map((one) => one.summary());
    const seen = [...this.#seenBefore, ...this.#seen].slice(-SEEN_KEPT);
    this.#shelf.set("state", { conversations, seen });
    this.#keepDrafts();
  }

  /** The account leaves; `forget` also what the shelf has. */
  end(forget) {
    clearTimeout(this.#draftTimer);
    if (forget) this.#shelf?.clear();
    this.#shelf = null;
    this.me = null;
    this.open = null;
  }

  conversation(key, name = "") {
    let one = this.conversations.get(key);
    if (!one) {
      one = new Conversation(key[0], key.slice(1), name);
      this.conversations.set(key, one);
    }
    if (name && one.name !== name) {
      one.name = name;
      this.emit("conversation", one);
    }
    return one;
  }

  nameOf(conversation) {
    if (conversation.kind === "g") {
      return this.groups.get(conversation.id)?.name || conversation.name || `#${conversation.id}`;
    }
    return this.friends.get(conversation.id)?.name || conversation.name || `#${conversation.id}`;
  }

  /** Those worth a line in the list, the newest first. */
  sorted() {
    return [...this.conversations.values()]
      .filter((one) => one.at || one.draft || one === this.open)
      .sort((a, b) => (b.at || Infinity) - (a.at || Infinity));
  }

  get unread() {
    let sum = 0;
    for (const one of this.conversations.values()) sum += one.unread;
    return sum;
  }

  /** Whether a message with this key was here before: `no`, `now` (since the page was loaded)
      or `before` (it has been counted, but is not on this page). */
  seen(key) {
    if (this.#seen.has(key)) return "now";
    const before = this.#seenBefore.delete(key);
    this.#seen.add(key);
    if (this.#seen.size > SEEN) this.#seen = new Set([...this.#seen].slice(-SEEN / 2));
    return before ? "before" : "no";
  }

  /** A message is the newest of its conversation. */
  place(conversation, message) {
    if (!conversation.append(message)) return;
    this.#touch(conversation, message);
    if (conversation !== this.open) conversation.shrink();
    this.emit("conversation", conversation);
  }

  #touch(conversation, message) {
    conversation.at = Math.max(conversation.at, message.at);
    if (!message.event) {
      conversation.last = { text: message.text.slice(0, 200), name: message.name, mine: message.mine };
    }
    this.emit("conversations");
  }

  /** The newest line, as the server's list of conversations or the history has it. */
  summarise(conversation, message) {
    if (message.at >= conversation.at || !conversation.last) this.#touch(conversation, message);
  }

  countUnread(conversation, message) {
    if (conversation.unread === 0) conversation.fresh = message.key;
    conversation.unread += 1;
    this.emit("unread");
  }

  clearUnread(conversation) {
    if (!conversation.unread) return;
    conversation.unread = 0;
    this.emit("unread");
    this.emit("conversations");
  }

  changed(conversation) {
    this.emit("conversation", conversation);
    this.emit("conversations");
  }

  draft(conversation, text) {
    conversation.draft = text;
    if (text) this.#drafts[conversation.key] = text;
    else delete this.#drafts[conversation.key];
    clearTimeout(this.#draftTimer);
    this.#draftTimer = setTimeout(() => this.#keepDrafts(), 300);
  }

  #keepDrafts() {
    clearTimeout(this.#draftTimer);
    this.#shelf?.set("drafts", Object.keys(this.#drafts).length ? this.#drafts : null);
  }

  setFriends(friends, fromStart) {
    if (fromStart) this.friends.clear();
    for (const friend of friends) this.friends.set(idOf(friend.id), friendOf(friend));
    this.emit("people");
    this.emit("conversations");
  }

  setFriend(friend) {
    this.requests.delete(idOf(friend.id));
    this.setFriends([friend], false);
  }

  dropFriend(id) {
    this.friends.delete(id);
    this.emit("people");
  }

  presence(id, state) {
    const friend = this.friends.get(id);
    if (!friend || friend.state === state) return;
    friend.state = state;
    this.emit("people");
    this.emit("conversations");
  }

  setRequests(requests, fromStart) {
    if (fromStart) this.requests.clear();
    for (const one of requests) {
      this.requests.set(idOf(one.id), { ...one, id: idOf(one.id), name: String(one.name) });
    }
    this.emit("people");
  }

  dropRequest(id) {
    this.requests.delete(id);
    this.emit("people");
  }

  setGroups(groups, fromStart) {
    if (fromStart) this.groups.clear();
    for (const group of groups) this.groups.set(idOf(group.id), groupOf(group));
    this.emit("groups");
    this.emit("conversations");
  }

  dropGroup(id) {
    this.groups.delete(id);
    this.emit("groups");
  }

  setTyping(conversation, id, name, typing) {
    if (typing) conversation.typing.set(id, { name, until: Date.now() + TYPING_FOR });
    else conversation.typing.delete(id);
    this.emit("conversation", conversation);
    this.emit("conversations");
    if (typing) setTimeout(() => this.#expireTyping(conversation, id), TYPING_FOR + 50);
  }

  #expireTyping(conversation, id) {
    if (conversation.typing.get(id)?.until <= Date.now()) {
      this.setTyping(conversation, id, "", false);
    }
  }
}
