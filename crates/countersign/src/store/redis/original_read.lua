-- Reads a token of litestar-auth.
--
-- KEYS[1]: the token's key. Returns the user's id and the end of the token in milliseconds since
-- 1970 (-1 without an end), or nil if the key isn't a token.
local user = redis.pcall('GET', KEYS[1])
if type(user) == 'table' and not string.find(user.err, '^WRONGTYPE') then
  return user
elseif type(user) ~= 'string' then
  return nil
end
return { user, redis.call('PEXPIRETIME', KEYS[1]) }
