-- The original's `user` and `offlinemessage`.

-- name: as typed; name_key: the UTF-8 bytes of its NFKC form, by which names are compared.
-- state: for other programs to read; the server itself does not believe it.
CREATE TABLE user (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key BLOB NOT NULL UNIQUE,
    password TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'offline' CHECK (state IN ('online', 'offline'))
);

CREATE INDEX user_online ON user (id) WHERE state = 'online';

-- One row a message that waits for `userid`.  stamp: its place in the order, in microseconds since
-- the epoch.  cid: the sender's name for it, UTF-8 bytes; given: the server gave it.  digest: over
-- kind, target and text.  message: the line as it is pushed, UTF-8.
-- There are no foreign keys: they would cost a look at `user` for each row.  Not WITHOUT ROWID: rows
-- for many recipients would change as many pages with texts in them, and go three times as slowly.
CREATE TABLE offlinemessage (
    userid INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    cid BLOB NOT NULL CHECK (length(cid) <= 256),
    given INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) <= 8),
    message BLOB NOT NULL,
    PRIMARY KEY (userid, stamp, sender),
    UNIQUE (userid, sender, cid)
);

CREATE INDEX offlinemessage_sender ON offlinemessage (sender, stamp);
