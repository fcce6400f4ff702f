// What the server sends without being asked.

import { idOf } from "./json.js";
import * as P from "./protocol.js";
import { eventOf, messageOf } from "./messages.js";

export class Pushes {
  #session;
  #table = {
    [P.ONE_CHAT]: (push) => this.#chat(push, this.#withUser(push)),
    [P.GROUP_CHAT]: (push) => this.#chat(push, this.#inGroup(push)),
    [P.ACK]: (ack) => this.#ack(ack),
    [P.FRIEND_REQUEST]: (push) => this.#store.setRequests([push], false),
    [P.FRIEND_ANSWER]: (push) => {
      if (push.accept) this.#store.setFriend({ id: push.id, name: push.name, state: push.state });
    },
    [P.REMOVE_FRIEND]: (push) => this.#store.dropFriend(idOf(push.id)),
    [P.PRESENCE]: (push) => this.#store.presence(idOf(push.id), push.state),
    [P.TYPING]: (push) => {
      const conversation = this.#aimedAt(push);
      this.#store.setTyping(conversation, idOf(push.id), String(push.name), push.typing !== false);
    },
    [P.READ]: (push) => {
      if (push.groupid !== undefined) return;
      const conversation = this.#aimedAt(push);
      conversation.mark(push.upto, "read", this.#session.me.id);
      this.#store.changed(conversation);
    },
    [P.MEMBERSHIP]: (push) => this.#membership(push),
    [P.NOTICE]: (push) => {
      if (push.reconnect) this.#session.connection.comeAgainIn(Number(push.reconnect));
      if (push.msg) this.#session.emit("notice", String(push.msg));
    },
  };

  constructor(session) {
    this.#session = session;
  }

  get #store() { return this.#session.store; }

  take(message) {
    if (!this.#session.me) return;
    this.#table[message.msgid]?.(message);
    if (message.seq !== undefined) this.#session.connection.received(message.seq);
  }

  #withUser(push) {
    return this.#store.conversation(`u${idOf(push.id)}`, String(push.name));
  }

  #inGroup(push) {
    return this.#store.conversation(`g${idOf(push.groupid)}`);
  }

  #aimedAt(push) {
    return push.groupid === undefined ? this.#withUser(push) : this.#inGroup(push);
  }

  #chat(push, conversation) {
    const message = messageOf(push, this.#session.me, this.#session.logins);
    conversation.typing.delete(message.id);
    const seen = this.#store.seen(message.key);
    if (seen === "now" || conversation.has(message)) return;
    this.#store.place(conversation, message);
    if (seen === "no" && !message.mine) {
      this.#session.emit("message", { conversation, message });
    }
  }

  #ack(ack) {
    if (ack.ack === P.ONE_CHAT || ack.ack === P.GROUP_CHAT) this.#session.outbox.answer(ack);
    else if (ack.ack === 0 && ack.errno === P.FORBIDDEN) this.#session.displaced();
  }

  #membership(push) {
    const id = idOf(push.id), groupid = idOf(push.groupid), me = this.#session.me.id;
    const group = this.#store.groups.get(groupid);
    const conversation = this.#store.conversation(`g${groupid}`);
    if (id === me && (push.event === "left" || push.event === "removed")) {
      conversation.name = group?.name ?? conversation.name;
      this.#store.dropGroup(groupid);
    } else if (group) {
      if (push.event === "joined") group.members += id === me ? 0 : 1;
      if (push.event === "left" || push.event === "removed") group.members -= 1;
      if (push.event === "creator") group.role = id === me ? "creator" : "normal";
      this.#store.emit("groups");
    }
    this.#session.emit("membership", groupid);
    this.#store.place(conversation, eventOf(push.event, id, String(push.name), this.#session.logins));
  }
}
