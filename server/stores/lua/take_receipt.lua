-- Whose message a receipt is about; one that nobody knows is kept a while, as it may have been too fast.
-- Of several only the last counts, but "delivered" is not undone by another word.
-- KEYS  1 message (hash)   ARGV  2 receipt  3 '1' if it says delivered  4 ms to keep   Returns the send, or ''
local send = redis.call('HGET', KEYS[1], 'send')
if send then return send end
if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'early', ARGV[2], 'delivered', 1)
elseif redis.call('HEXISTS', KEYS[1], 'delivered') == 0 then redis.call('HSET', KEYS[1], 'early', ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return ''
