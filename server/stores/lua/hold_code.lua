-- Count one try of a code and decide it; a right one is held for this request alone.
-- KEYS  1 transaction  2 wrong codes of this number and purpose (sorted set by ms)  3 how many of them in a row
--       4 trace (list)
-- ARGV  2 mobile name  3 purpose  4 generation the caller compared with  5 '1' if the code was right
--       6 attempts allowed  7 hold id  8 hold ms  9 most wrong codes in an hour  10 in a day  11 in a row
-- Returns 'held' | 'refused' (nothing to count) | 'counted' | 'stale' (another generation: compare again, not counted)
local has = redis.call('HMGET', KEYS[1], 'mobile_name', 'purpose', 'generation', 'attempts', 'expires', 'hold_until')
if has[1] ~= ARGV[2] or has[2] ~= ARGV[3] then return 'refused' end
if has[3] ~= ARGV[4] then return 'stale' end
if now >= tonumber(has[5]) or tonumber(has[4]) >= tonumber(ARGV[6]) then return 'refused' end
local function guessed(cap, window)
  local oldest = redis.call('ZRANGE', KEYS[2], -cap, -cap, 'WITHSCORES')
  return #oldest > 0 and oldest[2] + window > now
end
if guessed(ARGV[9], 3600000) or guessed(ARGV[10], 86400000) then return 'refused' end
if tonumber(redis.call('GET', KEYS[3]) or 0) >= tonumber(ARGV[11]) then return 'refused' end
if ARGV[5] ~= '1' then
  redis.call('ZADD', KEYS[2], now, ARGV[7])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[10] - 1)
  redis.call('PEXPIRE', KEYS[2], 86400000 + MARGIN)
  trace(KEYS[4], 'wrong')
  redis.call('INCR', KEYS[3])
  redis.call('PEXPIRE', KEYS[3], 90 * 86400000)
end
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HINCRBY', KEYS[1], 'seq', 1)
if ARGV[5] ~= '1' or now < tonumber(has[6] or 0) then return 'counted' end
redis.call('HSET', KEYS[1], 'hold', ARGV[7], 'hold_until', now + ARGV[8], 'hold_generation', has[3])
return 'held'
