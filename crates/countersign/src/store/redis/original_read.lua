-- A token's user id and the moment it ends, in milliseconds; nothing when it is no token.
local user = redis.pcall('GET', KEYS[1])
if type(user) == 'table' and not string.find(user.err, '^WRONGTYPE') then
  return user
elseif type(user) ~= 'string' then
  return nil
end
return { user, redis.call('PEXPIRETIME', KEYS[1]) }
