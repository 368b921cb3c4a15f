-- Returns the user's fence, and stores the given one first if there is none.
--
-- KEYS[1]: the user's hash. ARGV[1]: the fence to store.
local key = KEYS[1]
local there = redis.pcall('HEXISTS', key, 'e')
if is_foreign(there) then
  redis.call('UNLINK', key)
elseif type(there) == 'table' then
  return there
end
local fence = standing(key)
if not fence then
  fence = ARGV[1]
  redis.call('HSET', key, 'e', fence)
end
live_at_least(key, FENCE_LIFE)
return fence
