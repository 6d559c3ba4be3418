-- Let an SMS that failed be sent after all: only if nothing newer was asked for and its code still has a while to live.
-- KEYS  1 transaction  2 interval (hash: until, owner)  3 trace (list)
-- ARGV  2 owner of the send  3 least ms its code must have left  4 interval ms  5 topic   Returns 1 if it may go out
local has = redis.call('HMGET', KEYS[1], 'owner', 'status', 'expires')
if has[1] ~= ARGV[2] or has[2] ~= 'failed' or tonumber(has[3]) - now < tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], 'status', 'queued', 'attempt', 0, 'reason', '')
redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('HSET', KEYS[2], 'until', now + ARGV[4], 'owner', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4] + MARGIN)
trace(KEYS[3], 'retried')
redis.call('PUBLISH', ARGV[5], '{}')
return 1
