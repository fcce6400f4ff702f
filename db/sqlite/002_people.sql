-- Friends, requests, blocks; groups and who is in them.  Times are microseconds since the epoch.

-- `friendid` is a friend of `userid`: a row a direction, as in the original.
CREATE TABLE friend (
    userid INTEGER NOT NULL,
    friendid INTEGER NOT NULL,
    PRIMARY KEY (userid, friendid)
) WITHOUT ROWID;

CREATE INDEX friend_back ON friend (friendid);

-- `userid` asked `friendid` to be friends.
CREATE TABLE friendrequest (
    friendid INTEGER NOT NULL,
    userid INTEGER NOT NULL,
    note TEXT NOT NULL,
    asked INTEGER NOT NULL,
    PRIMARY KEY (friendid, userid)
) WITHOUT ROWID;

CREATE INDEX friendrequest_back ON friendrequest (userid);

-- `userid` does not hear from `blockedid`.
CREATE TABLE block (
    userid INTEGER NOT NULL,
    blockedid INTEGER NOT NULL,
    PRIMARY KEY (userid, blockedid)
) WITHOUT ROWID;

CREATE INDEX block_back ON block (blockedid);

-- members: how many rows of `groupuser` it has, kept true with them.
CREATE TABLE allgroup (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    groupname TEXT NOT NULL,
    name_key BLOB NOT NULL UNIQUE,
    groupdesc TEXT NOT NULL DEFAULT '',
    members INTEGER NOT NULL DEFAULT 0
);

-- joined: what was said before is not shown.
CREATE TABLE groupuser (
    groupid INTEGER NOT NULL,
    userid INTEGER NOT NULL,
    grouprole TEXT NOT NULL DEFAULT 'normal' CHECK (grouprole IN ('creator', 'normal')),
    joined INTEGER NOT NULL,
    PRIMARY KEY (groupid, userid)
) WITHOUT ROWID;

CREATE INDEX groupuser_back ON groupuser (userid, groupid);
