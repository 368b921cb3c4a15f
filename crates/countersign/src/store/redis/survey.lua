-- Counts the sessions in one piece of the key that can be refreshed. Arguments: where it begins, now, and when one without
-- end must have been issued after. Where to go on, how many there are, and the latest end of their signed access tokens.
local key, now, issued = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found = redis.pcall('HSCAN', key, ARGV[1], 'MATCH', 's*', 'COUNT', 500)
if is_foreign(found) then
  return { '0', 0, '' }
elseif found.err then
  return found
end
local fence, elder = standing(key), elder_of(key)
local count, latest, text = 0, nil, ''
for i = 2, #found[2], 2 do
  local record = found[2][i]
  local created, ends = string.match(record, '^[12]|%d+|[^|]+|(%-?%d+)|(%-?%d*)|')
  if created and is_live(found[2][i - 1], record, fence, elder) then
    if (ends ~= '' and tonumber(ends) > now) or (ends == '' and tonumber(created) > issued) then
      count = count + 1
      -- A moment has 20 characters at most, and a fence 32.
      local signed_end = string.match(record, '|(%-?%d*)|[-%x]+$', -54)
      local moment = tonumber(signed_end or nil)
      if moment and (not latest or moment > latest) then
        latest, text = moment, signed_end
      end
    end
  end
end
return { found[1], count, text }
