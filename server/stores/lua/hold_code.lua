-- Count one try of a code and decide it; a right one is held for this request alone.
-- KEYS  1 transaction
-- ARGV  2 mobile name  3 purpose  4 generation the caller compared with  5 '1' if the code was right
--       6 attempts allowed  7 hold id  8 hold ms
-- Returns 'held' | 'refused' (nothing to count) | 'counted' | 'stale' (another generation: compare again, not counted)
local has = redis.call('HMGET', KEYS[1], 'mobile_name', 'purpose', 'generation', 'attempts', 'expires', 'hold_until')
if has[1] ~= ARGV[2] or has[2] ~= ARGV[3] then return 'refused' end
if has[3] ~= ARGV[4] then return 'stale' end
if now >= tonumber(has[5]) or tonumber(has[4]) >= tonumber(ARGV[6]) then return 'refused' end
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HINCRBY', KEYS[1], 'seq', 1)
if ARGV[5] ~= '1' or now < tonumber(has[6] or 0) then return 'counted' end
redis.call('HSET', KEYS[1], 'hold', ARGV[7], 'hold_until', now + ARGV[8], 'hold_generation', has[3])
return 'held'
