-- Denies an id. An existing entry is never shortened.
--
-- KEYS[1]: the entry's key. ARGV[1]: the entry, which is 'v1:' and the end in microseconds since
-- 1970. ARGV[2]: the time to live in milliseconds.
--
-- An entry of another form, such as litestar-auth writes, names no end. It stays as it is, and only
-- its life is extended.
local known = redis.call('GET', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
local ttl = tonumber(ARGV[2])
local function ends(entry)
  return tonumber(string.match(entry, '^v1:(%-?%d+)$'))
end
if known and (not ends(known) or ends(known) >= ends(ARGV[1])) then
  if left >= 0 and left < ttl then
    redis.call('PEXPIRE', KEYS[1], ttl)
  end
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', math.max(left, ttl))
end
