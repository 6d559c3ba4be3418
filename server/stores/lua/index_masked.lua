-- Let a transaction be found by the masked form of its number, for a day.
-- KEYS  1 transactions (sorted set by ms)   ARGV  2 transaction  3 most of them
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[3] - 1)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 86400000)
redis.call('PEXPIRE', KEYS[1], 86400000)
return 1
