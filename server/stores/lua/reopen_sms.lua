-- Let an SMS that failed be sent after all: only if its number was not sent another one meanwhile, and its code still
-- has a while to live and an attempt left.
-- KEYS  1 transaction  2 interval (hash: until, owner)  3 trace (list)
-- ARGV  2 owner of the send  3 least ms its code must have left  4 interval ms  5 topic  6 attempts allowed
-- Returns 1 if it may go out
local has = redis.call('HMGET', KEYS[1], 'owner', 'status', 'expires', 'attempts', 'silent')
if has[1] ~= ARGV[2] or has[2] ~= 'failed' or tonumber(has[3]) - now < tonumber(ARGV[3]) then return 0 end
if tonumber(has[4]) >= tonumber(ARGV[6]) then return 0 end
local interval = redis.call('HMGET', KEYS[2], 'until', 'owner')
if interval[1] and tonumber(interval[1]) > now and interval[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'status', 'queued', 'attempt', 0, 'reason', '')
trace(KEYS[3], 'retried')
-- Of an SMS that may be for nobody nothing is told, and its interval never ended early.
if has[5] == '1' then return 1 end
redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('HSET', KEYS[2], 'until', now + ARGV[4], 'owner', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4] + MARGIN)
redis.call('PUBLISH', ARGV[5], '{}')
return 1
