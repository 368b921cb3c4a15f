-- Counts the sessions of one piece of the hash that can be refreshed.
--
-- KEYS[1]: the user's hash. The arguments have the names of Survey in args.rs:
-- - cursor: the HSCAN cursor of the piece.
-- - now: the present time, in microseconds.
-- - issued: the cutoff for sessions without an end, which count if issued after it, in
--   microseconds.
--
-- Returns the next cursor, the number of sessions, and the latest end of their signed access tokens
-- or an empty text.
local key = KEYS[1]
now, issued = tonumber(now), tonumber(issued)
local found = redis.pcall('HSCAN', key, cursor, 'MATCH', 's*', 'COUNT', 500)
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
      -- The pattern is applied to the last 54 characters: a time of at most 20, a fence of 32, two
      -- bars.
      local signed_end = string.match(record, '|(%-?%d*)|[-%x]+$', -54)
      local moment = tonumber(signed_end or nil)
      if moment and (not latest or moment > latest) then
        latest, text = moment, signed_end
      end
    end
  end
end

return { found[1], count, text }
