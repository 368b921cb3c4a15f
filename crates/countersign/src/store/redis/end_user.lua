-- Ends everything that a user has behind the fence, by another one, at one cost for any number of records. Arguments: the new
-- fence, the field of the session that goes on (empty for none), whether the old fence is to be remembered ('1'), now, and
-- what was remembered before (empty unless an earlier call of this couldn't put it back).
-- 'done'; 'full' when no more can be remembered, and nothing was changed; or 'lost:' and what could not be put back, together
-- with the new fence: while the key's slot moves to another node, what isn't here any more is there from then on.
local key, fence, kept = KEYS[1], ARGV[1], ARGV[2]
local length = redis.pcall('HLEN', key)
if is_foreign(length) then
  redis.call('UNLINK', key)
elseif type(length) == 'table' then
  return length
end
local ended = standing(key)
if ended == fence then
  return 'done'
end
local remembered = {}
for entry in string.gmatch(ARGV[5] .. ',' .. (redis.call('HGET', key, 'n') or ''), '[^,]+') do
  remembered[#remembered + 1] = entry
end
if ended and ARGV[3] == '1' then
  if #remembered >= 64 then
    return 'full'
  end
  remembered[#remembered + 1] = ended .. ':' .. string.sub(kept, 2)
end
local fields = { 'e', fence }
if #remembered > 0 then
  fields[3], fields[4] = 'n', table.concat(remembered, ',')
end
local life = FENCE_LIFE
if #remembered > 0 then
  -- As long as any token that was behind it.
  life = math.max(life, redis.call('PTTL', key))
end
local session, elder = kept ~= '' and redis.call('HGET', key, kept), elder_of(key)
local stays = session and (fence_of(session) or '-') ~= '-' and is_live(kept, session, ended, elder)
-- What is behind no fence is not reached by this, and stays so when it goes on: another ending may be about to end it.
local holds = (not elder or redis.call('HEXISTS', key, elder) == 1) and redis.call('HEXISTS', key, 'u') == 1
redis.call('HSET', key, unpack(fields))
if stays then
  redis.call('HSET', key, kept, behind(session, fence))
end
-- The memory is freed in the background.
if stays or holds or type(redis.pcall('UNLINK', key)) == 'table' then
  -- What has ended stays for a while, and later writes remove it: they look from the start.
  redis.call('HSET', key, 'x', ARGV[4])
  redis.call('HDEL', key, 'c')
  live_at_least(key, life)
  return 'done'
end
local set = redis.pcall('HSET', key, unpack(fields))
if type(set) == 'table' then
  return 'lost:' .. (fields[4] or '')
end
redis.call('PEXPIRE', key, moment(life))
return 'done'
