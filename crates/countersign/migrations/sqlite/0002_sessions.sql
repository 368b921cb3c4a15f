-- What the protocol of sessions keeps of each one, and a fence for each user.
-- unless column refresh_token.family
ALTER TABLE refresh_token ADD COLUMN family VARCHAR(64);
-- unless column refresh_token.consumed
ALTER TABLE refresh_token ADD COLUMN consumed VARCHAR(1024);
-- unless column refresh_token.opened_at
ALTER TABLE refresh_token ADD COLUMN opened_at BIGINT;
-- unless column refresh_token.last_used_at
ALTER TABLE refresh_token ADD COLUMN last_used_at BIGINT;
-- unless column refresh_token.user_agent
ALTER TABLE refresh_token ADD COLUMN user_agent VARCHAR(255);
-- unless column refresh_token.ip
ALTER TABLE refresh_token ADD COLUMN ip VARCHAR(45);
-- unless column refresh_token.label
ALTER TABLE refresh_token ADD COLUMN label VARCHAR(64);
CREATE INDEX IF NOT EXISTS ix_refresh_token_family ON refresh_token (family);

CREATE TABLE IF NOT EXISTS session_fence (
    user_id {user_id} NOT NULL PRIMARY KEY,
    fence VARCHAR(32) NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_session_fence_used_at ON session_fence (used_at);
