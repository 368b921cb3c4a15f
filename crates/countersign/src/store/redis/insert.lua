-- Records tokens of one user. Arguments: user, time to live in milliseconds, now, soonest end, the fence that must stand
-- (empty for none), then field, record and manner for each: 'new' must not be there, 'opens' may take the place of a
-- session without refresh token, and 'stub' yields to what is there. 1 when they are recorded, also when they were before;
-- 0 when a place is taken, and -2 when another fence stands: nothing is written then.
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
local fields, news = { 'u', ARGV[1] }, false
for i = 6, #ARGV, 3 do
  local field, record, manner = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HGET', key, field)
  news = news or known ~= record
  local free = not known or known == record or (manner == 'opens' and digest(known) == '')
  if not free and manner ~= 'stub' then
    return 0
  end
  if free then
    fields[#fields + 1] = field
    fields[#fields + 1] = record
  end
end
-- What is recorded already was recorded before the fence was raised, by an earlier call of the same.
if news and ARGV[5] ~= '' and ARGV[5] ~= (redis.call('HGET', key, 'e') or string.rep('0', 32)) then
  return -2
end
redis.call('HSET', key, unpack(fields))
keep(key, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return 1
