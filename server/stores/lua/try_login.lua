-- How an account stands that somebody wants to come into by a password.
-- KEYS  1 wrong passwords (hash: n, until)   ARGV  2 'ask'|'wrong'|'right'  3 wrong ones in a row from which on one waits
--       4 ms of the longest wait  5 ms to remember them
-- Returns {n, ms to wait}
local has = redis.call('HMGET', KEYS[1], 'n', 'until')
local n, wait = tonumber(has[1] or 0), math.max(0, tonumber(has[2] or 0) - now)
if ARGV[2] == 'right' then redis.call('DEL', KEYS[1]) end
if ARGV[2] ~= 'wrong' then return {n, wait} end
n = n + 1
-- 2^(n - from) seconds; tries within a wait are not decided, so they cannot make it longer.
if n >= tonumber(ARGV[3]) then wait = math.min(1000 * 2 ^ math.min(30, n - ARGV[3]), tonumber(ARGV[4])) end
redis.call('HSET', KEYS[1], 'n', n, 'until', now + wait)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {n, wait}
