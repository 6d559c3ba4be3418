-- Under which of our sends a provider's message id is known. A receipt may be faster than the answer to the send.
-- KEYS  1 message (hash)   ARGV  2 send  3 ms to keep   Returns a receipt that came before, or ''
local early = redis.call('HGET', KEYS[1], 'early') or ''
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'send', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return early
