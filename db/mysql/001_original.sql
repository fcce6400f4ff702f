-- The original's `user` and `offlinemessage`.

-- name: as typed; name_key: the UTF-8 bytes of its NFKC form, by which names are compared (the
-- collations take any emoji for any other, or 'bob' for 'Bob' and 'bob ').
-- state: for other programs to read; the server itself does not believe it.
CREATE TABLE user (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(200) NOT NULL,
    name_key VARBINARY(800) NOT NULL,
    password VARCHAR(255) NOT NULL,
    state ENUM('online', 'offline') NOT NULL DEFAULT 'offline',
    PRIMARY KEY (id),
    UNIQUE KEY user_name (name_key),
    KEY user_state (state)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- One row a message that waits for `userid`.  stamp: its place in the order, in microseconds since
-- the epoch.  cid: the sender's name for it, UTF-8 bytes; given: the server gave it.  digest: over
-- kind, target and text.  message: the line as it is pushed, UTF-8.
-- There are no foreign keys: each row would lock the user's row beside the writes of `state`.
CREATE TABLE offlinemessage (
    userid BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    sender BIGINT NOT NULL,
    cid VARBINARY(256) NOT NULL,
    given TINYINT NOT NULL,
    kind SMALLINT NOT NULL,
    digest VARBINARY(8) NOT NULL,
    message MEDIUMBLOB NOT NULL,
    PRIMARY KEY (userid, stamp, sender),
    UNIQUE KEY offlinemessage_cid (userid, sender, cid),
    KEY offlinemessage_sender (sender, stamp)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
