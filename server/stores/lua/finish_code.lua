-- A held code has done its work: the transaction is over, and wrong ones before it are forgotten.
-- KEYS  1 transaction  2 wrong codes of this number and purpose  3 how many of them in a row
-- ARGV  2 hold id   Returns 1 if this hold was still the one
if redis.call('HGET', KEYS[1], 'hold') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
