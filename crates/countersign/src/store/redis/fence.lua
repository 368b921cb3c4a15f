-- The user's fence: the one that stands, or the argument, which stands from now on.
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
