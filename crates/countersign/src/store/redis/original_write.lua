-- Records a token and lists it in its user's set, whose life is never shortened. Arguments: user id, seconds.
local known = redis.call('EXISTS', KEYS[2]) == 1
redis.call('SADD', KEYS[2], KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
local left = redis.call('TTL', KEYS[2])
if not known or (left >= 0 and left < tonumber(ARGV[2])) then
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
