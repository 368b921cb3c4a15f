-- Tables of the original are adopted: rows stay, columns are added.
CREATE TABLE IF NOT EXISTS access_token (
    token VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    created_at DATETIME(6) DEFAULT (UTC_TIMESTAMP(6)) NOT NULL,
    user_id {user_id} NOT NULL,
    session_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin,
    expires_at BIGINT,
    INDEX ix_access_token_user_id (user_id),
    INDEX ix_access_token_session_id (session_id),
    INDEX ix_access_token_expires_at (expires_at, created_at)
) ENGINE = InnoDB;
-- unless collation access_token.token ascii_bin
ALTER TABLE access_token MODIFY token VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL;
-- unless column access_token.session_id
ALTER TABLE access_token ADD COLUMN session_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin;
-- unless column access_token.expires_at
ALTER TABLE access_token ADD COLUMN expires_at BIGINT;
-- unless index access_token.ix_access_token_user_id
CREATE INDEX ix_access_token_user_id ON access_token (user_id);
-- unless index access_token.ix_access_token_session_id
CREATE INDEX ix_access_token_session_id ON access_token (session_id);
-- unless index access_token.ix_access_token_expires_at
CREATE INDEX ix_access_token_expires_at ON access_token (expires_at, created_at);

CREATE TABLE IF NOT EXISTS refresh_token (
    token VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    created_at DATETIME(6) DEFAULT (UTC_TIMESTAMP(6)) NOT NULL,
    user_id {user_id} NOT NULL,
    session_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin,
    expires_at BIGINT,
    session_expires_at BIGINT,
    INDEX ix_refresh_token_user_id (user_id, session_id),
    INDEX ix_refresh_token_session_id (session_id),
    INDEX ix_refresh_token_expires_at (expires_at, created_at)
) ENGINE = InnoDB;
-- unless collation refresh_token.token ascii_bin
ALTER TABLE refresh_token MODIFY token VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL;
-- unless column refresh_token.session_id
ALTER TABLE refresh_token ADD COLUMN session_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin;
-- unless column refresh_token.expires_at
ALTER TABLE refresh_token ADD COLUMN expires_at BIGINT;
-- unless column refresh_token.session_expires_at
ALTER TABLE refresh_token ADD COLUMN session_expires_at BIGINT;
-- unless index refresh_token.ix_refresh_token_user_id
CREATE INDEX ix_refresh_token_user_id ON refresh_token (user_id, session_id);
-- unless index refresh_token.ix_refresh_token_session_id
CREATE INDEX ix_refresh_token_session_id ON refresh_token (session_id);
-- unless index refresh_token.ix_refresh_token_expires_at
CREATE INDEX ix_refresh_token_expires_at ON refresh_token (expires_at, created_at);

CREATE TABLE IF NOT EXISTS denied_token (
    id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    INDEX ix_denied_token_expires_at (expires_at)
) ENGINE = InnoDB;
