-- Removes a user's key, whatever it holds; how many records that were. The memory is freed in the background.
local key = KEYS[1]
local length = redis.pcall('HLEN', key)
if type(length) ~= 'number' then
  return redis.call('UNLINK', key)
end
if length == 0 then
  return 0
end
local marks = redis.call('HEXISTS', key, 'u') + redis.call('HEXISTS', key, 'x') + redis.call('HEXISTS', key, 'c')
redis.call('UNLINK', key)
return length - marks
