-- Take the pen of a block, before one reads it from MongoDB.
-- KEYS  1 pen (hash: who, ends)   ARGV  2 who  3 ms after which another may   Returns 1, or 0 if it is not to be had
if now < tonumber(redis.call('HGET', KEYS[1], 'ends') or 0) then return 0 end
redis.call('HSET', KEYS[1], 'who', ARGV[2], 'ends', now + ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3] + MARGIN)
return 1
