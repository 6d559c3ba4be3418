-- Take back a send that a later limit refused: interval and caps are free again, and the transaction says what it
-- said before - but for tries that were decided meanwhile, which stay counted.
-- KEYS  1 transaction  2 interval  3 sends  4 trace (list)   ARGV  2 owner of the send, 3 'new' | 'resend', 4... previous fields, none if they got lost
-- Returns 1 if it was still this send's
if redis.call('HGET', KEYS[2], 'owner') == ARGV[2] then redis.call('DEL', KEYS[2]) end
redis.call('ZREM', KEYS[3], ARGV[2])
trace(KEYS[4], 'taken_back')
local has = redis.call('HMGET', KEYS[1], 'owner', 'generation', 'attempts', 'hold_generation')
if has[1] ~= ARGV[2] then return 0 end
if ARGV[3] == 'new' then return redis.call('DEL', KEYS[1]) end
redis.call('HINCRBY', KEYS[1], 'seq', 1)
if #ARGV == 3 then return redis.call('HSET', KEYS[1], 'status', 'failed', 'reason', 'provider_failed') end

local previous = {}
for i = 4, #ARGV, 2 do previous[ARGV[i]] = ARGV[i + 1] end
for _, name in ipairs({'owner', 'status', 'attempt', 'reason', 'locale'}) do
  redis.call('HSET', KEYS[1], name, previous[name])
end
if previous.generation ~= has[2] and has[4] ~= has[2] then
  for _, name in ipairs({'generation', 'nonce', 'key', 'expires'}) do
    redis.call('HSET', KEYS[1], name, previous[name])
  end
  redis.call('HSET', KEYS[1], 'attempts', previous.attempts + has[3])
end
return 1
