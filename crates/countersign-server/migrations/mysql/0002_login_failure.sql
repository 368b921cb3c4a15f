CREATE TABLE IF NOT EXISTS login_failure (
    key_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    window_ends BIGINT NOT NULL,
    KEY ix_login_failure_window_ends (window_ends)
) ENGINE=InnoDB;
