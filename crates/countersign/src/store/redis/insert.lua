-- Records tokens of one user, all of them or none.
--
-- KEYS[1]: the user's hash. The arguments have the names of Insertion in args.rs:
-- - user: the user's id with its kind.
-- - ttl: the least life of the key, in milliseconds.
-- - now, soonest: the present time, and the first end among the records, in microseconds.
-- - asked: the fence that must be current, or empty for any.
-- - records: the number of records, which follow with field, text and manner each.
--
-- The manners of a record:
-- - 'new' must not be there yet.
-- - 'opens' may take the place of a session without a refresh token.
-- - 'stub' yields to what is there.
--
-- A record of version 2 comes without its fence, which is appended here.
--
-- Returns 1 if the records are there, also if an earlier call has recorded them; 0 if a place is
-- taken; -2 if another fence is current, or if the session of a stub has ended with its fence.
-- Nothing is written with 0 and -2.
local key, first = KEYS[1], #ARGV - 3 * tonumber(records) + 1
local owner = redis.pcall('HGET', key, 'u')
if is_foreign(owner) then
  -- The key belongs to the user, so another type of value there is of no use to anybody.
  redis.call('UNLINK', key)
  owner = false
elseif type(owner) == 'table' then
  return owner
end
if owner and owner ~= user then
  return 0
end

local fence, elder = standing(key), elder_of(key)
local fields, fenced = { 'u', user }, asked ~= '' and asked ~= fence
for i = first, #ARGV, 3 do
  local field, record, manner = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HGET', key, field)
  local _, before = fence_of(known or '')
  if known and (known == record or before == record) then
    -- An earlier call has recorded this one, and all the others with it. The reply to it was lost.
    return 1
  end

  local live = known and is_live(field, known, fence, elder)
  if not known or (manner == 'opens' and live and digest(known) == '') or (manner == 'new' and before and not live) then
    fields[#fields + 1] = field
    fields[#fields + 1] = record
  elseif manner ~= 'stub' then
    return 0
  else
    fenced = fenced or not live
  end
end
if fenced then
  return -2
end

fence = fence or first_fence(ARGV[first])
if not owner then
  -- A new hash can't hold records from before fences.
  fields[#fields + 1], fields[#fields + 2] = 'o', '1'
end
for i = 4, #fields, 2 do
  if string.find(fields[i], '^2|') then
    fields[i] = fields[i] .. fence
  end
end
redis.call('HSET', key, 'e', fence, unpack(fields))
keep(key, tonumber(ttl), tonumber(now), tonumber(soonest))
return 1
