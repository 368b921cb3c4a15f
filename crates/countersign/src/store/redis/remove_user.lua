-- Removes what a user's key holds, whatever that is, but for the fence: how many records that were, and nothing or the fence
-- that could not be put back. That happens while the key's slot moves to another node: what isn't here any more is there
-- from then on. The memory is freed in the background.
local key = KEYS[1]
local length = redis.pcall('HLEN', key)
if type(length) ~= 'number' then
  return { redis.call('UNLINK', key), '' }
end
if length == 0 then
  return { 0, '' }
end
local fence = redis.call('HGET', key, 'e')
local marks = 0
for _, mark in ipairs({ 'u', 'x', 'c', 'e' }) do
  marks = marks + redis.call('HEXISTS', key, mark)
end
redis.call('UNLINK', key)
if fence then
  local set = redis.pcall('HSET', key, 'e', fence)
  if type(set) == 'table' then
    return { length - marks, fence }
  end
  redis.call('PEXPIRE', key, 600000)
end
return { length - marks, '' }
