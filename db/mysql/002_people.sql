-- Friends, requests, blocks; groups and who is in them.  Times are microseconds since the epoch.

-- `friendid` is a friend of `userid`: a row a direction, as in the original.
CREATE TABLE friend (
    userid BIGINT NOT NULL,
    friendid BIGINT NOT NULL,
    PRIMARY KEY (userid, friendid),
    KEY friend_back (friendid)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- `userid` asked `friendid` to be friends.
CREATE TABLE friendrequest (
    friendid BIGINT NOT NULL,
    userid BIGINT NOT NULL,
    note VARCHAR(200) NOT NULL,
    asked BIGINT NOT NULL,
    PRIMARY KEY (friendid, userid),
    KEY friendrequest_back (userid)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- `userid` does not hear from `blockedid`.
CREATE TABLE block (
    userid BIGINT NOT NULL,
    blockedid BIGINT NOT NULL,
    PRIMARY KEY (userid, blockedid),
    KEY block_back (blockedid)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- members: how many rows of `groupuser` it has, kept true with them.
CREATE TABLE allgroup (
    id BIGINT NOT NULL AUTO_INCREMENT,
    groupname VARCHAR(200) NOT NULL,
    name_key VARBINARY(800) NOT NULL,
    groupdesc VARCHAR(200) NOT NULL DEFAULT '',
    members INT NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    UNIQUE KEY allgroup_name (name_key)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- joined: what was said before is not shown.
CREATE TABLE groupuser (
    groupid BIGINT NOT NULL,
    userid BIGINT NOT NULL,
    grouprole ENUM('creator', 'normal') NOT NULL DEFAULT 'normal',
    joined BIGINT NOT NULL,
    PRIMARY KEY (groupid, userid),
    KEY groupuser_back (userid, groupid)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
