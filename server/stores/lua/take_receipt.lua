-- Whose message a receipt is about; one that nobody knows is kept a while, as it may have been too fast.
-- KEYS  1 message (hash)   ARGV  2 receipt  3 ms to keep   Returns the send, or ''
local send = redis.call('HGET', KEYS[1], 'send')
if send then return send end
redis.call('HSET', KEYS[1], 'early', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return ''
