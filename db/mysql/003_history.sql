-- What was said.  Two people's conversation is (low, high), the smaller of their ids first; a
-- group's is (0, its id).  A conversation is one stretch of the primary key, in order.
CREATE TABLE message (
    low BIGINT NOT NULL,
    high BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    sender BIGINT NOT NULL,
    cid VARBINARY(256) NOT NULL,
    message MEDIUMBLOB NOT NULL,
    PRIMARY KEY (low, high, stamp, sender),
    KEY message_back (high, low, stamp),
    KEY message_age (stamp)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Lines of this user, or in this group (the other is 0), were not recorded at about `stamp`.
CREATE TABLE gap (
    userid BIGINT NOT NULL,
    groupid BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    PRIMARY KEY (userid, groupid, stamp),
    KEY gap_age (stamp)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
