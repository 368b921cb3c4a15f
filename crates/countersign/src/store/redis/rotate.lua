-- Replaces a refresh token by its successor.
--
-- KEYS[1]: the user's hash. The arguments have the names of Rotation in args.rs:
-- - ttl: the least life of the key, in milliseconds.
-- - now, soonest: the present time, and the first end among the records, in microseconds.
-- - presented, presented_digest: the field and the digest of the presented token.
-- - session: the field of the session.
-- - successor, family: the digests of the successor and of its family.
-- - gone_at: the time from which the session's record may be removed, in microseconds.
-- - created_at, expires_at: the time of issue and the end of the successor, in microseconds.
--   expires_at is empty without an end.
-- - session_ends, signed_ends: the ends of the session and of its signed access token, or empty. A
--   recorded end of the session is kept, and so is a later end of a signed token.
-- - consumed: the tokens that were exchanged last, as text.
-- - access, access_record: the field and the record of the access token, both empty without one.
--
-- Returns 1 if this call, or an earlier one of the same, has rotated the token; 0 if the presented
-- token isn't there any more; -1 if a digest is taken. Nothing is written with 0 and -1.
local key = KEYS[1]
local old = redis.pcall('HGET', key, presented)
if is_foreign(old) then
  return 0
elseif type(old) == 'table' then
  return old
end
local current = redis.call('HGET', key, session)
-- The successor is there: an earlier call of the same has put it there, and the reply was lost.
if current and digest(current) == successor then
  return 1
end

if not old or not is_live(presented, old, standing(key), elder_of(key)) then
  return 0
end

local own = fence_of(old) or '-'
local kept, of, stated_end, rest = string.match(behind(old, own), '^2|(%d+)|([^|]*)|[^|]*|[^|]*|([^|]*)|[^|]*|[^|]*|(.*)$')
local noted, signed_end = string.match(rest or '', '^([^|]*|[^|]*|[^|]*|[^|]*|[^|]*)|([^|]*)|[-%x]+$')
if not noted or (presented == session and of ~= presented_digest) then
  return 0
end
if (current and presented ~= session) or redis.call('HEXISTS', key, 'r' .. successor) == 1 or (access ~= '' and redis.call('HEXISTS', key, access) == 1) then
  return -1
end

if stated_end ~= '' then
  session_ends = stated_end
end
if signed_ends ~= '' and (tonumber(signed_end) or -math.huge) < tonumber(signed_ends) then
  signed_end = signed_ends
end

-- Access tokens of the session may outlive its new refresh token.
local keep_until = moment(math.max(tonumber(kept), tonumber(gone_at)))
local record = table.concat({ '2', keep_until, successor, created_at, expires_at, session_ends, family, consumed, noted, signed_end, own }, '|')
if access == '' then
  redis.call('HSET', key, session, record)
else
  redis.call('HSET', key, session, record, access, access_record)
end
if presented ~= session then
  redis.call('HDEL', key, presented)
end

-- The mark of a re-authentication stays as long as the session.
local mark = redis.call('HGET', key, mark_of(session))
local marked = mark and string.match(mark, '^1|%d+(||%-?%d+||)$')
if marked then
  redis.call('HSET', key, mark_of(session), '1|' .. keep_until .. marked)
end

keep(key, tonumber(ttl), tonumber(now), tonumber(soonest))
return 1
