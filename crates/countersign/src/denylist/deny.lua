-- Denies an id and never shortens an entry. Arguments: the entry, which is v1: and its end, and its time to live in
-- milliseconds. An entry of another form names no end: it stays, and lives longer.
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
