-- Keep the newest tries of the sandbox.
-- KEYS  1 tries (list)   ARGV  2 try   Returns 1
redis.call('LPUSH', KEYS[1], ARGV[2])
redis.call('LTRIM', KEYS[1], 0, 99)
return 1
