-- Removes a record. Arguments: its field, the field of the session that it lives with (empty for one that lives by itself),
-- and the call's own name, by which it knows its own doing when it is sent twice. 1 when the record was live.
local key, field, session, call = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
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
if session ~= '' then
  field, record = session, redis.call('HGET', key, session)
end
if not record or not is_live(field, record, standing(key), elder_of(key)) then
  return 0
end
if redis.call('EXISTS', key) == 1 then
  redis.call('HSET', key, 'd', call)
end
return 1
