-- Keep a message of the sandbox, once.
-- KEYS  1 seen ids (sorted set by ms)  2 messages (list)   ARGV  2 id  3 message   Returns 1 if it is new
if redis.call('ZADD', KEYS[1], 'NX', now, ARGV[2]) == 0 then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 86400000)
redis.call('LPUSH', KEYS[2], ARGV[3])
redis.call('LTRIM', KEYS[2], 0, 199)
return 1
