-- Lists sessions that can be refreshed, from where an earlier list ended.
--
-- KEYS[1]: the user's hash. The arguments have the names of Listing in args.rs:
-- - cursor: the HSCAN cursor to begin with.
-- - part_end, after: if only a part of that step was listed before, the cursor at its end and the
--   last field of that part; otherwise empty.
-- - room: the number of sessions that the page has room for.
-- - most: the number of sessions that it has room for when empty.
--
-- Returns the cursor to go on with; then the cursor at the end of a step that is listed in part,
-- 'full' if the next step has no room, or an empty text; then field, record and mark of each session.
-- The mark is empty for a session that was never re-authenticated.
--
-- The script looks at about 500 fields, so there may be fewer sessions although more follow. A hash
-- of at most 500 fields is one step, in the order of its fields: HSCAN may return a field twice if
-- the hash has shrunk between two steps.
local key = KEYS[1]
room, most = tonumber(room), tonumber(most)
local there = redis.pcall('HLEN', key)
if is_foreign(there) then
  return { '0', '' }
elseif type(there) == 'table' then
  return there
end

local fence, elder = standing(key), elder_of(key)
local listed, seen = { cursor, '' }, 0
repeat
  local found
  if cursor == '0' and there <= 500 then
    found = { '0', redis.call('HGETALL', key) }
  else
    -- Half of the room, because a step may return more fields than it was asked for.
    local count = math.min(math.max(math.floor(room / 2), 1), 250)
    found = redis.call('HSCAN', key, cursor, 'COUNT', count)
  end

  local fields, records = {}, {}
  for i = 1, #found[2], 2 do
    local field, record = found[2][i], found[2][i + 1]
    local shown = part_end == found[1] and field <= after
    local is_session = string.sub(field, 1, 1) == 's' and #field > 1
    if is_session and not shown and not records[field] and is_live(field, record, fence, elder) and (digest(record) or '') ~= '' then
      fields[#fields + 1] = field
      records[field] = record
    end
  end
  seen = seen + #found[2] / 2

  local fits = #fields <= room
  if not fits and room < most then
    -- A page of its own has room for this step.
    listed[2] = 'full'
    return listed
  end

  table.sort(fields)
  for i = 1, math.min(#fields, room) do
    listed[#listed + 1] = fields[i]
    listed[#listed + 1] = records[fields[i]]
    listed[#listed + 1] = redis.call('HGET', key, mark_of(fields[i])) or ''
  end
  if not fits then
    listed[2] = found[1]
    return listed
  end

  room = room - #fields
  cursor, part_end, after = found[1], '', ''
  listed[1] = cursor
until cursor == '0' or room == 0 or seen >= 500
return listed
