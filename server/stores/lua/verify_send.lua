-- Remember that the code of a send which waits to be judged was used.
-- KEYS  1 waiting, as judge_conversion   ARGV  2 transaction   Returns 1 if it waited
local at = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not at then return 0 end
redis.call('ZREM', KEYS[1], ARGV[2])
return redis.call('ZADD', KEYS[1], at, '+' .. ARGV[2])
