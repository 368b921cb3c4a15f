-- Removes those of the tokens that are the user's, and takes them all from the user's set, which is the first key; how
-- many were removed. Argument: user id. At most some hundred keys at a time.
local removed = 0
for i = 2, #KEYS do
  local user = redis.pcall('GET', KEYS[i])
  if type(user) == 'table' and not string.find(user.err, '^WRONGTYPE') then
    return user
  elseif user == ARGV[1] then
    removed = removed + redis.call('DEL', KEYS[i])
  end
  redis.pcall('SREM', KEYS[1], KEYS[i])
end
return removed
