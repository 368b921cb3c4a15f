-- Ends the records that are behind no fence, by one mark.
--
-- KEYS[1]: the user's hash. ARGV[1]: the field of the session that is kept, or empty. Returns 1 if
-- there may have been such records, and 0 if there were none.
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
-- A session that has ended isn't kept: that would bring it back.
local session = kept ~= '' and not elder and redis.call('HGET', key, kept)
local stays = session and (fence_of(session) or '-') == '-'
redis.call('HSET', key, 'o', stays and kept or '1', 'x', '0')
-- Later writes remove the records, looking from the start.
redis.call('HDEL', key, 'c')
return 1
