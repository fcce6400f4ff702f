-- The database and its user, made once by an administrator:
--
--     mysql -u root -p < create_database.sql
--
-- Put a password of your own in place of CHANGE-ME first.  A server on another machine than the
-- database connects as 'chat'@'its address' instead of 'chat'@'localhost'.

CREATE DATABASE IF NOT EXISTS chat CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE USER IF NOT EXISTS 'chat'@'localhost' IDENTIFIED BY 'CHANGE-ME';

-- What running takes.
GRANT SELECT, INSERT, UPDATE, DELETE ON chat.* TO 'chat'@'localhost';

-- What the first start and each start after an upgrade take, to bring the tables up to date.
-- They may be taken away (REVOKE … FROM) in between: a start that misses them says so.
GRANT CREATE, ALTER, INDEX ON chat.* TO 'chat'@'localhost';
