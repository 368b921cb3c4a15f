-- Removes what a user's key holds, whatever that is, but for the fence; how many records that were. The memory is freed in
-- the background.
local key = KEYS[1]
local length = redis.pcall('HLEN', key)
if type(length) ~= 'number' then
  return redis.call('UNLINK', key)
end
if length == 0 then
  return 0
end
local fence = redis.call('HGET', key, 'e')
local marks = 0
for _, mark in ipairs({ 'u', 'x', 'c', 'e' }) do
  marks = marks + redis.call('HEXISTS', key, mark)
end
redis.call('UNLINK', key)
if fence then
  redis.call('HSET', key, 'e', fence)
  redis.call('PEXPIRE', key, 600000)
end
return length - marks
