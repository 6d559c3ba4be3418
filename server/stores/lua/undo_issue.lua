-- Take back a send that a later limit refused: the transaction is as before, interval and caps are free again.
-- KEYS  as issue_code   ARGV  2 owner of the send, 3… previous fields of the transaction
-- Returns 1 if it was still this send's
if redis.call('HGET', KEYS[2], 'owner') == ARGV[2] then redis.call('DEL', KEYS[2]) end
redis.call('ZREM', KEYS[3], ARGV[2])
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return 0 end
local life = redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
if #ARGV > 2 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 3))
  redis.call('PEXPIRE', KEYS[1], life)
end
return 1
