// One WebSocket that comes back by itself: requests by cid, pings, receipts in batches.

import { parse, stringify } from "./json.js";
import { Emitter } from "./emitter.js";
import { ACK, LOGIN, LOGIN_ACK, PING, PONG, RECEIVED, REG, REG_ACK, Refusal } from "./protocol.js";

const FIRST_DELAY = 500, LONGEST_DELAY = 30000;   // ms between tries
const PING_EVERY = 25000, PONG_WITHIN = 10000;    // ms
const ANSWER_WITHIN = 20000;                      // ms
const RECEIPT_EVERY = 50, RECEIPT_MOST = 32;      // ms, messages

/** States: `idle`, `connecting`, `open` (not logged in), `online`, `waiting` (for the next try).
    Emits `state`, `open`, `lost` and `message` (what answers no request). */
export class Connection extends Emitter {
  state = "idle";
  retryAt = 0;
  #url; #socket = null; #tries = 0; #retry = 0; #cids = 0;
  #pending = new Map();
  #nextDelay = null;
  #pingTimer = 0; #deadline = 0;
  #received = 0; #receipted = 0; #receiptAt = 0; #receiptTimer = 0;

  /** `beforeReceipt` is called before what came is acknowledged: the last moment to keep it. */
  constructor(url, beforeReceipt) {
    super();
    this.#url = url;
    this.beforeReceipt = beforeReceipt;
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.#probe());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.flushReceipt();
      else if (this.state === "waiting") this.retryNow();
      else this.#probe();
    });
    addEventListener("pagehide", () => this.flushReceipt());
  }

  start() {
    if (this.state === "idle") this.#open();
  }

  stop() {
    if (this.state === "idle") return;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#lose("idle");
    socket?.close(1000);
  }

  retryNow() {
    if (this.state === "waiting") this.#open();
  }

  /** Close, and come again in so many seconds. */
  comeBack(seconds) {
    if (!this.#socket) return;
    this.comeAgainIn(seconds);
    this.#drop(this.#socket);
  }

  /** Resolves when one can talk to the server; throws Refusal when this try fails. */
  ready() {
    if (this.state === "open" || this.state === "online") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = [
        this.on("open", () => { done.forEach((off) => off()); resolve(); }),
        this.on("lost", () => { done.forEach((off) => off()); reject(new Refusal(0, "no connection")); }),
      ];
      this.start();
      this.retryNow();
    });
  }

  /** The login went well: the next loss starts with the shortest delay again. */
  loggedIn() {
    this.#tries = 0;
    this.#received = this.#receipted = 0;
    this.#become("online");
  }

  loggedOut() {
    if (this.state === "online") this.#become("open");
  }

  /** The server says when to come again, in seconds. */
  comeAgainIn(seconds) {
    this.#nextDelay = seconds * 1000;
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(stringify(message));
    return true;
  }

  /** Ask, and wait for the answer; throws Refusal. */
  request(msgid, fields = {}) {
    const answeredBy = { [LOGIN]: LOGIN_ACK, [REG]: REG_ACK }[msgid];
    const cid = answeredBy ? `#${answeredBy}` : `r${this.#cids += 1}`;
    return new Promise((resolve, reject) => {
      if (!this.send(answeredBy ? { msgid, ...fields } : { msgid, ...fields, cid })) {
        reject(new Refusal(0, "not connected"));
        return;
      }
      const timer = setTimeout(() => {
        this.#pending.delete(cid);
        reject(new Refusal(0, "no answer"));
      }, ANSWER_WITHIN);
      this.#pending.set(cid, { resolve, reject, timer });
    });
  }

  /** A push with this `seq` has been taken in. */
  received(seq) {
    this.#received = Number(seq);
    const now = performance.now();
    // Timers of a hidden page may fire a minute late, so the first of a batch goes at once.
    if (now - this.#receiptAt > RECEIPT_EVERY || this.#received - this.#receipted >= RECEIPT_MOST) {
      this.flushReceipt();
    } else if (!this.#receiptTimer) {
      this.#receiptTimer = setTimeout(() => this.flushReceipt(), RECEIPT_EVERY);
    }
  }

  flushReceipt() {
    clearTimeout(this.#receiptTimer);
    this.#receiptTimer = 0;
    if (this.#received <= this.#receipted) return;
    this.beforeReceipt();
    if (this.send({ msgid: RECEIVED, seq: this.#received })) this.#receipted = this.#received;
    this.#receiptAt = performance.now();
  }

  #become(state) {
    this.state = state;
    this.emit("state", state);
  }

  #open() {
    clearTimeout(this.#retry);
    this.#become("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    // A network that swallows packets would keep us waiting for minutes.
    const timer = setTimeout(() => this.#drop(socket), PONG_WITHIN);
    socket.onopen = () => {
      clearTimeout(timer);
      if (socket !== this.#socket) return;
      this.#become("open");
      this.#watch();
      this.emit("open");
    };
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#take(event.data);
    };
    socket.onclose = () => {
      clearTimeout(timer);
      if (socket === this.#socket) this.#wait();
    };
  }

  #drop(socket) {
    if (socket !== this.#socket) return;
    this.#wait();
    socket.close();
  }

  #wait() {
    const delay = this.#nextDelay ?? Math.min(FIRST_DELAY * 2 ** this.#tries, LONGEST_DELAY);
    const jittered = delay * (0.75 + Math.random() / 2);
    this.#nextDelay = null;
    this.#tries += 1;
    this.retryAt = Date.now() + jittered;
    this.#retry = setTimeout(() => this.#open(), jittered);
    this.#lose("waiting");
  }

  #lose(state) {
    this.#socket = null;
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#deadline);
    clearTimeout(this.#receiptTimer);
    this.#receiptTimer = 0;
    this.#received = this.#receipted = 0;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#become(state);
    for (const { reject, timer } of pending) {
      clearTimeout(timer);
      reject(new Refusal(0, "connection lost"));
    }
    this.emit("lost");
  }

  #watch() {
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#deadline);
    this.#deadline = 0;
    this.#pingTimer = setTimeout(() => this.#probe(), PING_EVERY);
  }

  /** Ask for a sign of life. */
  #probe() {
    const socket = this.#socket;
    if (!this.send({ msgid: PING }) || this.#deadline) return;
    this.#deadline = setTimeout(() => this.#drop(socket), PONG_WITHIN);
  }

  #take(text) {
    // Two timers a message would cost more than the message: any sign of life moves the ping
    // only when one is awaited or the last move is old.
    if (this.#deadline || performance.now() - this.watchedAt > 5000 || !this.watchedAt) {
      this.watchedAt = performance.now();
      this.#watch();
    }
    let message;
    try {
      message = parse(text);
    } catch {
      return;
    }
    if (message.msgid === PING) {
      this.send({ msgid: PONG, cid: message.cid });
      return;
    }
    const answers = [LOGIN_ACK, REG_ACK].includes(message.msgid) ? `#${message.msgid}`
      : message.msgid === ACK ? message.cid : undefined;
    const waiting = this.#pending.get(answers);
    if (!waiting) {
      this.emit("message", message);
      return;
    }
    this.#pending.delete(answers);
    clearTimeout(waiting.timer);
    if (message.errno === 0) waiting.resolve(message);
    else waiting.reject(new Refusal(message.errno, message.errmsg, message));
  }
}
