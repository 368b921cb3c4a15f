-- Records tokens of one user. Arguments: user, time to live in milliseconds, now, soonest end, the fence that must stand
-- (empty for any), then field, record and manner for each: 'new' must not be there, 'opens' may take the place of a
-- session without refresh token, and 'stub' yields to what is there. A record of version 2 comes without its fence.
-- 1 when they are recorded, also when they were before; 0 when a place is taken, and -2 when another fence stands, or the
-- session has ended with one: nothing is written then.
local key = KEYS[1]
local owner = redis.pcall('HGET', key, 'u')
if is_foreign(owner) then
  -- Whatever it is, it isn't what a user has, and it is in the place of that.
  redis.call('UNLINK', key)
  owner = false
elseif type(owner) == 'table' then
  return owner
end
if owner and owner ~= ARGV[1] then
  return 0
end
local asked, fence, elder = ARGV[5], standing(key), elder_of(key)
local fields, fenced = { 'u', ARGV[1] }, asked ~= '' and asked ~= fence
for i = 6, #ARGV, 3 do
  local field, record, manner = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HGET', key, field)
  local _, before = fence_of(known or '')
  if known and (known == record or before == record) then
    -- An earlier call of the same has recorded it, with all the others.
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
fence = fence or first_fence(ARGV[6])
if not owner then
  -- Nothing can be there from before fences.
  fields[#fields + 1], fields[#fields + 2] = 'o', '1'
end
for i = 4, #fields, 2 do
  if string.find(fields[i], '^2|') then
    fields[i] = fields[i] .. fence
  end
end
redis.call('HSET', key, 'e', fence, unpack(fields))
keep(key, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return 1
