-- Notes when a session was seen in use. Arguments: the session's field, the moment. 1 when it was noted, 0 when the session
-- isn't there or a later moment is noted already.
local record = redis.pcall('HGET', KEYS[1], ARGV[1])
if type(record) ~= 'string' then
  return 0
end
local head, noted, rest = string.match(record, '^([12]|%d+|[^|]+|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|)(%d*)(|.*)$')
if not head or (tonumber(noted) or 0) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], head .. ARGV[2] .. rest)
return 1
