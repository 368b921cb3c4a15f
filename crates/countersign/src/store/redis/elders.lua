-- Ends what was recorded behind no fence, by one mark. Argument: the field of the session that goes on, behind the fence that
-- stands (empty for none). 1 when there may have been something.
local key, kept = KEYS[1], ARGV[1]
local owner = redis.pcall('HEXISTS', key, 'u')
if is_foreign(owner) then
  return 0
elseif type(owner) == 'table' then
  return owner
elseif owner == 0 or elders_are_over(key) then
  return 0
end
local session = kept ~= '' and redis.call('HGET', key, kept)
local own = session and fence_of(session) or '-'
if session and own == '-' then
  local fence = standing(key) or first_fence(kept)
  redis.call('HSET', key, kept, behind(session, fence), 'e', fence)
end
-- Later writes remove them: they look from the start.
redis.call('HSET', key, 'o', '1', 'x', '0')
redis.call('HDEL', key, 'c')
return 1
