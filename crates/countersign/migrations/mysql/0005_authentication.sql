-- When the user of a session proved again who he is. Null for a session whose login is the latest proof.
-- unless column refresh_token.authenticated_at
ALTER TABLE refresh_token ADD COLUMN authenticated_at BIGINT;
