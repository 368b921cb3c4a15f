-- An ending finds a user's rows by their fence, and those behind none, without looking at the others.
-- unless index access_token.ix_access_token_fence
CREATE INDEX ix_access_token_fence ON access_token (fence, user_id);
-- unless index refresh_token.ix_refresh_token_fence
CREATE INDEX ix_refresh_token_fence ON refresh_token (fence, user_id, session_id);
