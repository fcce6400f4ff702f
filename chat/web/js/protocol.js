// Message numbers and error numbers, as docs/protocol.md has them.

export const LOGIN = 1, LOGIN_ACK = 2, REG = 3, REG_ACK = 4, ONE_CHAT = 5, CREATE_GROUP = 7,
  ADD_GROUP = 8, GROUP_CHAT = 9, LOGINOUT = 10, ACK = 11, RECEIVED = 12, PING = 13, PONG = 14,
  FRIEND_REQUEST = 15, FRIEND_ANSWER = 16, REMOVE_FRIEND = 17, BLOCK = 18, LEAVE_GROUP = 19,
  REMOVE_MEMBER = 20, HAND_OVER = 21, FRIENDS = 22, REQUESTS = 23, BLOCKED = 24, GROUPS = 25,
  MEMBERS = 26, FIND_USER = 27, PRESENCE = 28, TYPING = 29, READ = 30, HISTORY = 31,
  CONVERSATIONS = 32, MEMBERSHIP = 33, PASSWORD = 34, TOKENS = 35, REVOKE = 36, DELETE_ACCOUNT = 37,
  NOTICE = 38;

export const REFUSED = 1, IN_USE = 2, UNKNOWN_MSGID = 101, FORBIDDEN = 103, NO_SUCH_USER = 104,
  NO_SUCH_GROUP = 105, TOO_FAST = 107, BUSY = 108;

/** The bytes of a line that a client may send, less what the envelope of a message needs. */
export const MAX_TEXT_BYTES = 64000;

/** A request was refused (`errno` as on the wire), or not answered (`errno` 0). */
export class Refusal extends Error {
  constructor(errno, text, { retry_after = 0, registration = "open" } = {}) {
    super(text);
    this.errno = errno;
    this.retryAfter = retry_after;
    this.registration = registration;   // who may register: open, invite, closed
  }
}

/** A cid that nobody else makes. */
export function newCid() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
