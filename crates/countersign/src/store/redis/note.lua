-- Records when a session was last seen in use.
--
-- KEYS[1]: the user's hash. ARGV[1]: the session's field. ARGV[2]: the time, in microseconds.
-- Returns 1 if the time was recorded, and 0 if the session isn't there or a later time is recorded
-- already.
local key, field, at = KEYS[1], ARGV[1], ARGV[2]
local record = redis.pcall('HGET', key, field)
if type(record) ~= 'string' then
  return 0
end
local head, noted, rest = string.match(record, '^([12]|%d+|[^|]+|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|)(%d*)(|.*)$')
if not head or (tonumber(noted) or 0) >= tonumber(at) then
  return 0
end
redis.call('HSET', key, field, head .. at .. rest)
return 1
