-- What the protocol of sessions keeps of each one, and a fence for each user.
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS family VARCHAR(64) COLLATE "C";
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS consumed VARCHAR(1024) COLLATE "C";
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS opened_at BIGINT;
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS last_used_at BIGINT;
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS user_agent VARCHAR(255);
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS ip VARCHAR(45);
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS label VARCHAR(64);
CREATE INDEX IF NOT EXISTS ix_refresh_token_family ON refresh_token (family);

CREATE TABLE IF NOT EXISTS session_fence (
    user_id {user_id} NOT NULL PRIMARY KEY,
    fence VARCHAR(32) COLLATE "C" NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_session_fence_used_at ON session_fence (used_at);
