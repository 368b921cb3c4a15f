-- Records when the user of a session has proved again who he is.
--
-- KEYS[1]: the user's hash. The arguments have the names of Proof in args.rs:
-- - field: the session's field.
-- - at: the time of the proof, in microseconds.
-- - asked: the fence that the session must be behind, or empty for any.
--
-- Returns 1 if the session is there, and 0 if it isn't or is behind another fence. Nothing is written
-- with 0.
local key = KEYS[1]
local record = redis.pcall('HGET', key, field)
if is_foreign(record) then
  return 0
elseif type(record) == 'table' then
  return record
elseif not record or (digest(record) or '') == '' or not is_live(field, record, standing(key), elder_of(key)) then
  return 0
end

local fence = fence_of(record) or '-'
if asked ~= '' and fence ~= '-' and fence ~= asked then
  return 0
end

local mark = mark_of(field)
local noted = string.match(redis.call('HGET', key, mark) or '', '^1|%d+||(%-?%d+)||$')
if noted and tonumber(noted) > tonumber(at) then
  at = noted
end

-- The mark has the form of an access token of the session: it means nothing without the session's
-- record, and servers that don't know it remove it when that record's time is over.
redis.call('HSET', key, mark, '1|' .. moment(gone(record)) .. '||' .. at .. '||')
return 1
