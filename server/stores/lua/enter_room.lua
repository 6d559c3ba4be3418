-- Who is in a room of so many places. A place whose process no longer says that it is taken is free again.
-- KEYS  1 places (sorted set: name by the ms until which it is taken)
-- ARGV  2 most places, or 0 to keep those that are taken  3 ms of a lease  4… names
-- Returns 1, or 0 if the room is full
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local most = tonumber(ARGV[2])
if most > 0 and redis.call('ZCARD', KEYS[1]) + #ARGV - 3 > most then return 0 end
for i = 4, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3] + MARGIN)
return 1
