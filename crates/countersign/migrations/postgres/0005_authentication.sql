-- When the user of a session proved again who he is. Null for a session whose login is the latest proof.
ALTER TABLE refresh_token ADD COLUMN IF NOT EXISTS authenticated_at BIGINT;
