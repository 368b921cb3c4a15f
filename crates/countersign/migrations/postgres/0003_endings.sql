-- What each token was recorded behind, and the fences that were replaced: everything of a user ends by one mark.
ALTER TABLE access_token ADD COLUMN IF NOT EXISTS fence VARCHAR(32) COLLATE "C";
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS fence VARCHAR(32) COLLATE "C";
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS access_expires_at BIGINT;
CREATE INDEX IF NOT EXISTS ix_access_token_unfenced ON access_token (user_id) WHERE fence IS NULL;
CREATE INDEX IF NOT EXISTS ix_refresh_token_unfenced ON refresh_token (user_id) WHERE fence IS NULL;

CREATE TABLE IF NOT EXISTS ended_fence (
    fence VARCHAR(32) COLLATE "C" NOT NULL PRIMARY KEY,
    user_id {user_id} NOT NULL,
    kept_session_id VARCHAR(36) COLLATE "C",
    ended_at BIGINT NOT NULL,
    settled_at BIGINT
);
CREATE INDEX IF NOT EXISTS ix_ended_fence_user_id ON ended_fence (user_id);
CREATE INDEX IF NOT EXISTS ix_ended_fence_ended_at ON ended_fence (ended_at);
