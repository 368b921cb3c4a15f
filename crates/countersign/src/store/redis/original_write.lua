-- Records a token of litestar-auth and lists it in its user's set, whose life is never shortened.
--
-- KEYS[1]: the token's key. KEYS[2]: the user's set. ARGV[1]: the user's id. ARGV[2]: the token's
-- life in seconds.
local token, set = KEYS[1], KEYS[2]
local user, life = ARGV[1], ARGV[2]
local known = redis.call('EXISTS', set) == 1
redis.call('SADD', set, token)
redis.call('SET', token, user, 'EX', life)
local left = redis.call('TTL', set)
if not known or (left >= 0 and left < tonumber(life)) then
  redis.call('EXPIRE', set, life)
end

-- A few members of the set are drawn at random, and those whose token has ended leave the set. So
-- dead members stay a small part of it, at the same cost for any size. A member that isn't a
-- token's key may lie on another node of a cluster, and stays. The token is recorded by now, so
-- nothing here may fail the call: all commands are pcalls.
local DRAWN = 10
local prefix = string.sub(token, 1, -65)
local drawn = redis.pcall('SRANDMEMBER', set, DRAWN)
for _, member in ipairs(drawn) do
  local digest = string.sub(member, #prefix + 1)
  local is_token = string.sub(member, 1, #prefix) == prefix and #digest == 64 and not string.find(digest, '%X')
  if is_token and redis.pcall('EXISTS', member) == 0 then
    redis.pcall('SREM', set, member)
  end
end
