-- A held code has done its work: the transaction is over, and wrong ones before it are forgotten.
-- KEYS  1 transaction  2 wrong codes of this number and purpose  3 how many of them in a row
--       4 trace (list)
-- ARGV  2 hold id   Returns the ms since its SMS was queued, or -1 if this hold was no more the one
local has = redis.call('HMGET', KEYS[1], 'hold', 'queued_at')
if has[1] ~= ARGV[2] then return -1 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
trace(KEYS[4], 'verified')
return math.max(0, now - (has[2] or now))
