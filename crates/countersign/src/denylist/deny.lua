-- Denies an id. An existing entry is never shortened.
--
-- KEYS[1]: the entry's key. ARGV[1]: the entry, which is 'v1:' and the end in microseconds since
-- 1970. ARGV[2]: the time to live in milliseconds.
--
-- An entry of another form, such as litestar-auth writes, names no end. It stays as it is, and only
-- its life is extended.
local key, entry, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])
local known = redis.call('GET', key)
local left = redis.call('PTTL', key)
local function ends(text)
  return tonumber(string.match(text, '^v1:(%-?%d+)$'))
end
if known and (not ends(known) or ends(known) >= ends(entry)) then
  if left >= 0 and left < ttl then
    redis.call('PEXPIRE', key, ttl)
  end
else
  redis.call('SET', key, entry, 'PX', math.max(left, ttl))
end
