-- Removes records that have ended with their fence, from one piece of the hash.
--
-- KEYS[1]: the user's hash. ARGV[1]: the maximum number of records. Returns the number of records
-- removed, and 1 if there is more to look at or 0 if not.
local key, most = KEYS[1], tonumber(ARGV[1])
local length = redis.pcall('HLEN', key)
if is_foreign(length) then
  return { 0, 0 }
elseif type(length) == 'table' then
  return length
end
local from = progress(key)
local dead, _, cursor = look(key, 0, from, math.min(most, 500))
local count = math.min(#dead, most)
drop(key, dead, count)
if count < #dead then
  cursor = from
elseif cursor == '0' then
  if from ~= '0' then
    redis.call('HDEL', key, 'c')
  end
  return { count, 0 }
end
redis.call('HSET', key, 'c', cursor)
return { count, 1 }
