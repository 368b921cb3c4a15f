-- What each token was recorded behind, and the fences that were replaced: everything of a user ends by one mark.
-- unless column access_token.fence
ALTER TABLE access_token ADD COLUMN fence VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin;
-- unless column refresh_token.fence
ALTER TABLE refresh_token ADD COLUMN fence VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin;
-- unless column refresh_token.access_expires_at
ALTER TABLE refresh_token ADD COLUMN access_expires_at BIGINT;

CREATE TABLE IF NOT EXISTS ended_fence (
    fence VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id {user_id} NOT NULL,
    kept_session_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin,
    ended_at BIGINT NOT NULL,
    settled_at BIGINT,
    INDEX ix_ended_fence_user_id (user_id),
    INDEX ix_ended_fence_ended_at (ended_at)
) ENGINE = InnoDB;
