-- A held code was not used after all: it is good again, and so is its attempt.
-- KEYS  1 transaction   ARGV  2 hold id   Returns 1 if this hold was still the one
if redis.call('HGET', KEYS[1], 'hold') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'hold', 'hold_until')
redis.call('HINCRBY', KEYS[1], 'attempts', -1)
redis.call('HINCRBY', KEYS[1], 'seq', 1)
return 1
