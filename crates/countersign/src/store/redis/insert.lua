-- Records tokens of one user. Arguments: user, time to live in milliseconds, now, soonest end, then field, record and
-- manner for each: 'new' must not be there, 'opens' may take the place of a session without refresh token, and 'stub'
-- yields to what is there. 1 when they are recorded, also when they were before; 0 when a place is taken, and nothing is
-- written.
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
local fields = { 'u', ARGV[1] }
for i = 5, #ARGV, 3 do
  local field, record, manner = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HGET', key, field)
  local free = not known or known == record or (manner == 'opens' and digest(known) == '')
  if not free and manner ~= 'stub' then
    return 0
  end
  if free then
    fields[#fields + 1] = field
    fields[#fields + 1] = record
  end
end
redis.call('HSET', key, unpack(fields))
keep(key, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return 1
