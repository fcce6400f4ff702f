// Messages that the server has not acknowledged: kept over a reload, sent again in the order in
// which they were written.

import { Emitter } from "./emitter.js";
import { BUSY, GROUP_CHAT, ONE_CHAT, TOO_FAST, newCid } from "./protocol.js";

const IN_FLIGHT = 64;

/** Emits `answered` {entry, state}, `failed` entry and `changed` entry.
    An entry is `{cid, order, kind, to, text, at, errno?}`; `errno` says that it was refused. */
export class Outbox extends Emitter {
  #shelf = null;
  #entries = [];
  #sent = new Set();
  #unkept = new Set();   // cids that the full shelf did not take
  #connection;
  #online = false;
  #pausedUntil = 0;
  #timer = 0;

  constructor(connection) {
    super();
    this.#connection = connection;
    connection.on("lost", () => this.suspend());
  }

  get waiting() {
    return this.#entries.filter((entry) => !entry.errno).length;
  }

  /** Take up what an account left behind, another tab's included; all entries, oldest first. */
  load(shelf) {
    const unkept = this.#shelf?.prefix === shelf.prefix
      ? this.#entries.filter((entry) => this.#unkept.has(entry.cid)) : [];
    this.#shelf = shelf;
    this.#entries = shelf.unsent().concat(unkept).sort((a, b) => a.order - b.order);
    return this.#entries;
  }

  add(conversation, text) {
    const last = this.#entries.at(-1)?.order ?? 0;
    const entry = {
      cid: newCid(), order: Math.max(Date.now(), last + 1), kind: conversation.kind,
      to: conversation.id, text, at: Date.now(),
    };
    this.#entries.push(entry);
    this.#keep(entry);
    this.#pump();
    return entry;
  }

  /** Logged in: everything goes again, in its order. */
  resume() {
    this.#online = true;
    this.#sent.clear();
    this.#pausedUntil = 0;
    this.#pump();
  }

  suspend() {
    this.#online = false;
    clearTimeout(this.#timer);
  }

  /** Try a refused one again, as the newest. */
  retry(cid) {
    const entry = this.#take(cid);
    if (!entry) return;
    delete entry.errno;
    entry.order = Math.max(Date.now(), (this.#entries.at(-1)?.order ?? 0) + 1);
    this.#entries.push(entry);
    this.#keep(entry);
    this.emit("changed", entry);
    this.#pump();
  }

  discard(cid) {
    this.#take(cid);
    this.#shelf.dropUnsent(cid);
  }

  /** The ACK_MSG of a chat message. */
  answer(ack) {
    const entry = this.#entries.find((one) => one.cid === ack.cid);
    if (!entry) return;
    this.#sent.delete(ack.cid);
    if (ack.errno === 0) {
      this.discard(ack.cid);
      this.emit("answered", { entry, state: ack.state });
    } else if (ack.errno === TOO_FAST || ack.errno === BUSY) {
      this.#pausedUntil = Date.now() + Math.max(0.2, Number(ack.retry_after) || 1) * 1000;
    } else {
      entry.errno = ack.errno;
      this.#keep(entry);
      this.emit("failed", entry);
    }
    this.#pump();
  }

  #keep(entry) {
    if (!this.#shelf.keepUnsent(entry)) this.#unkept.add(entry.cid);
  }

  #take(cid) {
    this.#unkept.delete(cid);
    const index = this.#entries.findIndex((one) => one.cid === cid);
    return index < 0 ? null : this.#entries.splice(index, 1)[0];
  }

  #pump() {
    if (!this.#online) return;
    const pause = this.#pausedUntil - Date.now();
    clearTimeout(this.#timer);
    if (pause > 0) {
      this.#timer = setTimeout(() => this.#pump(), pause);
      return;
    }
    for (const entry of this.#entries) {
      if (this.#sent.size >= IN_FLIGHT) break;
      if (entry.errno || this.#sent.has(entry.cid)) continue;
      const target = entry.kind === "g" ? { groupid: entry.to } : { toid: entry.to };
      const msgid = entry.kind === "g" ? GROUP_CHAT : ONE_CHAT;
      if (!this.#connection.send({ msgid, ...target, msg: entry.text, cid: entry.cid })) break;
      this.#sent.add(entry.cid);
    }
  }
}
