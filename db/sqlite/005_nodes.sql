-- Several servers on one database: which there are, and who is on which.

-- A server's membership, until `expires` (microseconds since the epoch, by the clock of the
-- database).  name: NULL when a newer membership has taken it.
CREATE TABLE node (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE,
    expires INTEGER NOT NULL
);

-- In force while its node's membership lasts; node 0: nobody's.  Rows stay, so that epochs rise.
CREATE TABLE claim (
    userid INTEGER PRIMARY KEY,
    node INTEGER NOT NULL,
    epoch INTEGER NOT NULL
);

CREATE INDEX claim_node ON claim (node);
