-- A held code has done its work: the transaction is over.
-- KEYS  1 transaction   ARGV  2 hold id   Returns 1 if this hold was still the one
if redis.call('HGET', KEYS[1], 'hold') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
return 1
