-- KEYS  1 session   ARGV  2 token hash  3 idle ms  4 absolute ms  5… user fields
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'opened', now, 'idle_until', now + ARGV[3], 'until', now + ARGV[4],
  unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], math.min(ARGV[3], ARGV[4]) + MARGIN)
return 1
