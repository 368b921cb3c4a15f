-- Tables of the original are adopted: rows stay, columns are added.
CREATE TABLE IF NOT EXISTS access_token (
    token VARCHAR(255) NOT NULL PRIMARY KEY,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    user_id {user_id} NOT NULL,
    session_id VARCHAR(36),
    expires_at BIGINT
);
-- unless column access_token.session_id
ALTER TABLE access_token ADD COLUMN session_id VARCHAR(36);
-- unless column access_token.expires_at
ALTER TABLE access_token ADD COLUMN expires_at BIGINT;
CREATE INDEX IF NOT EXISTS ix_access_token_user_id ON access_token (user_id);
CREATE INDEX IF NOT EXISTS ix_access_token_session_id ON access_token (session_id);
CREATE INDEX IF NOT EXISTS ix_access_token_expires_at ON access_token (expires_at, created_at);

CREATE TABLE IF NOT EXISTS refresh_token (
    token VARCHAR(255) NOT NULL PRIMARY KEY,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    user_id {user_id} NOT NULL,
    session_id VARCHAR(36),
    expires_at BIGINT,
    session_expires_at BIGINT
);
-- unless column refresh_token.session_id
ALTER TABLE refresh_token ADD COLUMN session_id VARCHAR(36);
-- unless column refresh_token.expires_at
ALTER TABLE refresh_token ADD COLUMN expires_at BIGINT;
-- unless column refresh_token.session_expires_at
ALTER TABLE refresh_token ADD COLUMN session_expires_at BIGINT;
CREATE INDEX IF NOT EXISTS ix_refresh_token_user_id ON refresh_token (user_id, session_id);
CREATE INDEX IF NOT EXISTS ix_refresh_token_session_id ON refresh_token (session_id);
CREATE INDEX IF NOT EXISTS ix_refresh_token_expires_at ON refresh_token (expires_at, created_at);

CREATE TABLE IF NOT EXISTS denied_token (
    id VARCHAR(255) NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_denied_token_expires_at ON denied_token (expires_at);
