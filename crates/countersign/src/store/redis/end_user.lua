-- Ends everything that a user has behind the current fence, by replacing it. The cost doesn't
-- depend on the number of records.
--
-- KEYS[1]: the user's hash. The arguments have the names of Ending in args.rs:
-- - fence: the new fence.
-- - kept: the field of the session that is kept, or empty.
-- - unsettled: '1' to remember the old fence until it is settled, or empty.
-- - now: the present time, in microseconds.
-- - lost: the endings that an earlier call could not put back, or empty.
--
-- Returns 'done', also if the fence is replaced already; 'full' if no more endings can be
-- remembered, and nothing was changed then; or 'lost:' and the endings that could not be put back.
-- While the slot of the key moves to another node, a key that is unlinked here can't be made anew
-- here, so the caller repeats the call at the other node.
local key = KEYS[1]
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
for entry in string.gmatch(lost .. ',' .. (redis.call('HGET', key, 'n') or ''), '[^,]+') do
  remembered[#remembered + 1] = entry
end
if ended and unsettled == '1' then
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
  -- A remembered ending stays as long as any token that was behind its fence.
  life = math.max(life, redis.call('PTTL', key))
end

local session, elder = kept ~= '' and redis.call('HGET', key, kept), elder_of(key)
local stays = session and (fence_of(session) or '-') ~= '-' and is_live(kept, session, ended, elder)
-- This ending doesn't reach records behind no fence, so the hash must stay if it has some. A kept
-- session among them stays behind no fence: another ending may be about to end those.
local holds = (not elder or redis.call('HEXISTS', key, elder) == 1) and redis.call('HEXISTS', key, 'u') == 1

redis.call('HSET', key, unpack(fields))
if stays then
  redis.call('HSET', key, kept, behind(session, fence))
end

-- UNLINK frees the memory of a large hash in the background.
if stays or holds or type(redis.pcall('UNLINK', key)) == 'table' then
  -- What has ended stays for a while. Later writes remove it, looking from the start.
  redis.call('HSET', key, 'x', now)
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
