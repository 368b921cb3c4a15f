-- Puts a fence in the place of a user's, and keeps it longer than any login in flight takes. Argument: the fence.
-- 0 when something else was in the way and is gone: once more then.
local life = 600000
local set = redis.pcall('HSET', KEYS[1], 'e', ARGV[1])
if type(set) == 'table' then
  if not string.find(set.err, '^WRONGTYPE') then
    return set
  end
  redis.call('UNLINK', KEYS[1])
  return 0
end
if redis.call('PTTL', KEYS[1]) < life then
  redis.call('PEXPIRE', KEYS[1], life)
end
return 1
