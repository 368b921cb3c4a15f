-- What the protocol of sessions keeps of each one, and a fence for each user.
-- unless column refresh_token.family
ALTER TABLE refresh_token ADD COLUMN family VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
-- unless column refresh_token.consumed
ALTER TABLE refresh_token ADD COLUMN consumed VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin;
-- unless column refresh_token.opened_at
ALTER TABLE refresh_token ADD COLUMN opened_at BIGINT;
-- unless column refresh_token.last_used_at
ALTER TABLE refresh_token ADD COLUMN last_used_at BIGINT;
-- unless column refresh_token.user_agent
ALTER TABLE refresh_token ADD COLUMN user_agent VARCHAR(255) CHARACTER SET utf8mb4;
-- unless column refresh_token.ip
ALTER TABLE refresh_token ADD COLUMN ip VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin;
-- unless column refresh_token.label
ALTER TABLE refresh_token ADD COLUMN label VARCHAR(64) CHARACTER SET utf8mb4;
-- unless index refresh_token.ix_refresh_token_family
CREATE INDEX ix_refresh_token_family ON refresh_token (family);

CREATE TABLE IF NOT EXISTS session_fence (
    user_id {user_id} NOT NULL PRIMARY KEY,
    fence VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    used_at BIGINT NOT NULL,
    INDEX ix_session_fence_used_at (used_at)
) ENGINE = InnoDB;
