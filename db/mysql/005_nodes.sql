-- Several servers on one database: which there are, and who is on which.

-- A server's membership, until `expires` (microseconds since the epoch, by the clock of the
-- database).  name: NULL when a newer membership has taken it.
CREATE TABLE node (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255),
    expires BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY node_name (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- In force while its node's membership lasts; node 0: nobody's.  Rows stay, so that epochs rise.
CREATE TABLE claim (
    userid BIGINT NOT NULL,
    node BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (userid),
    KEY claim_node (node)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
