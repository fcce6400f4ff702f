-- Logins without a password, invitations, accounts that an operator locked.  Of tokens and codes
-- only the SHA-256 is kept.  Times are microseconds since the epoch.
CREATE TABLE token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    userid INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    address TEXT NOT NULL
);

CREATE INDEX token_user ON token (userid, created);

CREATE INDEX token_age ON token (expires);

-- uses: how often it may still be used.
CREATE TABLE invite (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    uses INTEGER NOT NULL
);

ALTER TABLE user ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
