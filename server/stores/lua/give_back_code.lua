-- A held code was not used after all: it is good again, and so is its attempt.
-- KEYS  1 transaction   ARGV  2 hold id   Returns 1 if this hold was still the one
if redis.call('HGET', KEYS[1], 'hold') ~= ARGV[2] then return 0 end
local has = redis.call('HMGET', KEYS[1], 'generation', 'hold_generation')
redis.call('HDEL', KEYS[1], 'hold', 'hold_until', 'hold_generation')
-- If a new code has been made meanwhile its attempts are its own.
if has[1] == has[2] then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
redis.call('HINCRBY', KEYS[1], 'seq', 1)
return 1
