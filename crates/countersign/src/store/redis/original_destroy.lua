-- Deletes those of some tokens that belong to the user, and takes all of them out of the user's
-- set.
--
-- KEYS[1]: the user's set. KEYS[2] and the following: the tokens' keys, at most some hundred.
-- ARGV[1]: the user's id. Returns the number of tokens deleted.
local set, owner = KEYS[1], ARGV[1]
local removed = 0
for i = 2, #KEYS do
  local user = redis.pcall('GET', KEYS[i])
  if type(user) == 'table' and not string.find(user.err, '^WRONGTYPE') then
    return user
  elseif user == owner then
    removed = removed + redis.call('DEL', KEYS[i])
  end
  redis.pcall('SREM', set, KEYS[i])
end
return removed
