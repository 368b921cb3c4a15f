-- Removes one record.
--
-- KEYS[1]: the user's hash. The arguments have the names of Removal in args.rs:
-- - field: the record's field.
-- - session: the field of the session that the record is live with, or empty for one that is live
--   by itself.
-- - call: the name of the call, by which the script recognises a command that is sent again because
--   its reply was lost.
--
-- Returns 1 if the record was live, and 0 otherwise.
local key = KEYS[1]
local last = redis.pcall('HGET', key, 'd')
if is_foreign(last) then
  return 0
elseif type(last) == 'table' then
  return last
elseif last == call then
  return 1
end

local record = redis.call('HGET', key, field)
if not record then
  return 0
end

redis.call('HDEL', key, field)
if string.sub(field, 1, 1) == 's' then
  redis.call('HDEL', key, mark_of(field))
end

if session ~= '' then
  field, record = session, redis.call('HGET', key, session)
end
if not record or not is_live(field, record, standing(key), elder_of(key)) then
  return 0
end

-- A hash is gone with its last field. Writing the name would bring it back.
if redis.call('EXISTS', key) == 1 then
  redis.call('HSET', key, 'd', call)
end
return 1
