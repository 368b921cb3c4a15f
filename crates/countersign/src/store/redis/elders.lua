-- Ends what was recorded behind no fence, by one mark. Argument: the field of the session that goes on (empty for none). 1
-- when there may have been something.
local key, kept = KEYS[1], ARGV[1]
local owner = redis.pcall('HEXISTS', key, 'u')
if is_foreign(owner) then
  return 0
elseif type(owner) == 'table' then
  return owner
end
local elder = elder_of(key)
if owner == 0 or elder == '1' or (elder and elder == kept) then
  return 0
end
-- What has ended doesn't come back.
local session = kept ~= '' and not elder and redis.call('HGET', key, kept)
local stays = session and (fence_of(session) or '-') == '-'
redis.call('HSET', key, 'o', stays and kept or '1', 'x', '0')
-- Later writes remove them: they look from the start.
redis.call('HDEL', key, 'c')
return 1
