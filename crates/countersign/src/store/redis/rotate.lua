-- Replaces a refresh token by its successor.
--
-- KEYS[1]: the user's hash. ARGV[1]: the time to live in milliseconds. ARGV[2]: now. ARGV[3]: the
-- first end among the records. ARGV[4] and [5]: the presented token's field and digest. ARGV[6]:
-- the session's field. The new values of the session's record: ARGV[7] the successor's digest, [8]
-- gone, [9] created, [10] expires, [11] session end, [12] family, [13] consumed, [14] the end of
-- the signed access token. ARGV[15] and [16]: field and record of the access token, both empty
-- without one.
--
-- Returns 1 if this call, or an earlier one of the same, has rotated the token; 0 if the presented
-- token isn't there any more; -1 if a digest is taken. Nothing is written with 0 and -1.
local key = KEYS[1]
local presented, session = ARGV[4], ARGV[6]
local old = redis.pcall('HGET', key, presented)
if is_foreign(old) then
  return 0
elseif type(old) == 'table' then
  return old
end
local current = redis.call('HGET', key, session)
-- The successor is there: an earlier call of the same has put it there, and the reply was lost.
if current and digest(current) == ARGV[7] then
  return 1
end
if not old or not is_live(presented, old, standing(key), elder_of(key)) then
  return 0
end
local own = fence_of(old) or '-'
local kept, of, stated_end, rest = string.match(behind(old, own), '^2|(%d+)|([^|]*)|[^|]*|[^|]*|([^|]*)|[^|]*|[^|]*|(.*)$')
local noted, signed_end = string.match(rest or '', '^([^|]*|[^|]*|[^|]*|[^|]*|[^|]*)|([^|]*)|[-%x]+$')
if not noted or (presented == session and of ~= ARGV[5]) then
  return 0
end
local access = ARGV[15]
if (current and presented ~= session) or redis.call('HEXISTS', key, 'r' .. ARGV[7]) == 1 or (access ~= '' and redis.call('HEXISTS', key, access) == 1) then
  return -1
end
local ends = ARGV[11]
if stated_end ~= '' then
  ends = stated_end
end
if ARGV[14] ~= '' and (tonumber(signed_end) or -math.huge) < tonumber(ARGV[14]) then
  signed_end = ARGV[14]
end
-- Access tokens of the session may outlive its new refresh token.
local keep_until = moment(math.max(tonumber(kept), tonumber(ARGV[8])))
local record = table.concat({ '2', keep_until, ARGV[7], ARGV[9], ARGV[10], ends, ARGV[12], ARGV[13], noted, signed_end, own }, '|')
if access == '' then
  redis.call('HSET', key, session, record)
else
  redis.call('HSET', key, session, record, access, ARGV[16])
end
if presented ~= session then
  redis.call('HDEL', key, presented)
end
keep(key, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return 1
