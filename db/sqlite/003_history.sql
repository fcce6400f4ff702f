-- What was said.  Two people's conversation is (low, high), the smaller of their ids first; a
-- group's is (0, its id).  A conversation is one stretch of the primary key, in order.
-- Not WITHOUT ROWID, for the reason that `offlinemessage` has.
CREATE TABLE message (
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    cid BLOB NOT NULL CHECK (length(cid) <= 256),
    message BLOB NOT NULL,
    PRIMARY KEY (low, high, stamp, sender)
);

CREATE INDEX message_back ON message (high, low, stamp);

CREATE INDEX message_age ON message (stamp);

-- Lines of this user, or in this group (the other is 0), were not recorded at about `stamp`.
CREATE TABLE gap (
    userid INTEGER NOT NULL,
    groupid INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    PRIMARY KEY (userid, groupid, stamp)
) WITHOUT ROWID;

CREATE INDEX gap_age ON gap (stamp);
