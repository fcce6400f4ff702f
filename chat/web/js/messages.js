// A message as the page keeps it, made from one as the server sends it.

import { idOf } from "./json.js";
import { newCid } from "./protocol.js";

const SERVER_TIME = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/;

/** When it was said, in ms: by the server's stamp, else by its time if that can be true. */
function saidAt(raw) {
  if (raw.stamp !== undefined) return Number(raw.stamp) / 1000;
  const now = Date.now();
  const parts = SERVER_TIME.exec(raw.time);
  if (!parts) return now;
  const [, year, month, day, hour, minute, second] = parts.map(Number);
  const at = Date.UTC(year, month - 1, day, hour, minute, second);
  return at > now || year < 2000 ? now : at;
}

/** `login` tells in which login it came, 0 for history. */
export function messageOf(raw, me, login) {
  const id = idOf(raw.id);
  const cid = String(raw.cid ?? newCid());
  const mine = id === me.id;
  return {
    key: `${id} ${cid}`, cid, id, name: String(raw.name), text: String(raw.msg), at: saidAt(raw),
    stamp: raw.stamp === undefined ? null : idOf(raw.stamp), mine, login,
    mark: mine ? "stored" : null,
  };
}

/** A line that tells of what happened in a group. */
export function eventOf(event, id, name, login) {
  return {
    key: `! ${newCid()}`, cid: "", id, name, text: "", at: Date.now(), mine: false, login, event,
  };
}
