-- An ending finds a user's rows behind no fence without looking at the others. These indexes came with the column.
CREATE INDEX IF NOT EXISTS ix_access_token_unfenced ON access_token (user_id) WHERE fence IS NULL;
CREATE INDEX IF NOT EXISTS ix_refresh_token_unfenced ON refresh_token (user_id) WHERE fence IS NULL;
