-- Records a token of litestar-auth and lists it in its user's set, whose life is never shortened.
--
-- KEYS[1]: the token's key. KEYS[2]: the user's set. ARGV[1]: the user's id. ARGV[2]: the token's
-- life in seconds.
local known = redis.call('EXISTS', KEYS[2]) == 1
redis.call('SADD', KEYS[2], KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
local left = redis.call('TTL', KEYS[2])
if not known or (left >= 0 and left < tonumber(ARGV[2])) then
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
-- A few members of the set are drawn at random, and those whose token has ended leave the set. So
-- dead members stay a small part of it, at the same cost for any size. A member that isn't a
-- token's key may lie on another node of a cluster, and stays. The token is recorded by now, so
-- nothing here may fail the call: all commands are pcalls.
local DRAWN = 10
local prefix = string.sub(KEYS[1], 1, -65)
local drawn = redis.pcall('SRANDMEMBER', KEYS[2], DRAWN)
for _, member in ipairs(drawn) do
  local digest = string.sub(member, #prefix + 1)
  local is_token = string.sub(member, 1, #prefix) == prefix and #digest == 64 and not string.find(digest, '%X')
  if is_token and redis.pcall('EXISTS', member) == 0 then
    redis.pcall('SREM', KEYS[2], member)
  end
end
