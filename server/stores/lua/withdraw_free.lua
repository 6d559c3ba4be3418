-- An account is about to take a number: it is not surely free any more, and whoever is just reading its block from
-- MongoDB, or begins to before the account is written, may miss it.
-- KEYS  1 bitmap  2 pen (hash: who writes the bitmap, until when)   ARGV  2 last four digits  3 ms of the hold
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('SETBIT', KEYS[1], ARGV[2], 0) end
redis.call('HDEL', KEYS[2], 'who')
redis.call('HSET', KEYS[2], 'ends', now + ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3] + MARGIN)
