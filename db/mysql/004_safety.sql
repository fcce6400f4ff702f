-- Logins without a password, invitations, accounts that an operator locked.  Of tokens and codes
-- only the SHA-256 is kept.  Times are microseconds since the epoch.
CREATE TABLE token (
    id BIGINT NOT NULL AUTO_INCREMENT,
    userid BIGINT NOT NULL,
    digest VARBINARY(32) NOT NULL,
    created BIGINT NOT NULL,
    used BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    address VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY token_digest (digest),
    KEY token_user (userid, created),
    KEY token_age (expires)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- uses: how often it may still be used.
CREATE TABLE invite (
    id BIGINT NOT NULL AUTO_INCREMENT,
    digest VARBINARY(32) NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    uses INT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY invite_digest (digest)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

ALTER TABLE user ADD COLUMN disabled TINYINT NOT NULL DEFAULT 0;
