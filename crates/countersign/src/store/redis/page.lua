-- Lists sessions that can be refreshed, from where an earlier list ended. Arguments: where to begin in the key, where that
-- step ended when a part of it was listed, the last field of that part (both empty otherwise), how many sessions the page has
-- room for, and how many it had when it was empty.
-- Where to go on; the end of a step that is listed in part, 'full' when the next step has no room, or nothing; and then
-- field and record of each session, a step after the other. It looks at about five hundred fields, so there may be fewer
-- sessions although more follow. A key of no more than these is one step, in the order of its fields: Redis's own walk may
-- show a field twice when the key has shrunk between two steps.
local key, cursor, room, most = KEYS[1], ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local there = redis.pcall('HLEN', key)
if is_foreign(there) then
  return { '0', '' }
elseif type(there) == 'table' then
  return there
end
local fence, elder = standing(key), elder_of(key)
local listed, seen = { cursor, '' }, 0
local part_end, after = ARGV[2], ARGV[3]
repeat
  local found
  if cursor == '0' and there <= 500 then
    found = { '0', redis.call('HGETALL', key) }
  else
    -- Half of the room, so that the step fits into it, with what comes along from its last place.
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
    -- It begins the next page.
    listed[2] = 'full'
    return listed
  end
  table.sort(fields)
  for i = 1, math.min(#fields, room) do
    listed[#listed + 1] = fields[i]
    listed[#listed + 1] = records[fields[i]]
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
