-- Forgets replaced fences whose signed tokens are denied.
--
-- KEYS[1]: the user's hash. ARGV: the fences. Returns 1 if none is left to be settled, and 0
-- otherwise or if there was none.
local key = KEYS[1]
local listed = redis.pcall('HGET', key, 'n')
if is_foreign(listed) then
  return 0
elseif type(listed) == 'table' then
  return listed
elseif not listed then
  return 0
end
local settled, left = {}, {}
for _, fence in ipairs(ARGV) do
  settled[fence] = true
end
for entry in string.gmatch(listed, '[^,]+') do
  if not settled[string.match(entry, '^[^:]*')] then
    left[#left + 1] = entry
  end
end
if #left > 0 then
  redis.call('HSET', key, 'n', table.concat(left, ','))
  return 0
end
redis.call('HDEL', key, 'n')
-- Only the fence is left, which needs no longer life than its own.
if redis.call('HLEN', key) == 1 then
  redis.call('PEXPIRE', key, FENCE_LIFE)
end
return 1
