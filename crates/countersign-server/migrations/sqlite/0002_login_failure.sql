CREATE TABLE IF NOT EXISTS login_failure (
    key_digest CHAR(64) NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    window_ends BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_login_failure_window_ends ON login_failure (window_ends);
