-- May one more SMS be asked for? Before anything is charged: is there room in line, and a provider that may be asked.
-- If so, the intent is noted: should its job never come (enqueue_job), the send is found by tend_queue and failed.
-- KEYS  1 stream  2 delayed (sorted set by ms)  3 intents (sorted set by ms)  4… providers
-- ARGV  2 intent  3 ms until an intent has lapsed  4 most jobs in line
-- Returns {'ok'} | {'full'} | {'closed', ms until a provider may be tried}
if redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return {'full'} end
local soonest
for i = 4, #KEYS do
  local has = redis.call('HMGET', KEYS[i], 'open', 'probe_at', 'paused')
  local wait = has[1] and math.max(0, tonumber(has[2]) - now) or 0
  if has[3] then wait = math.max(wait, PAUSED) end
  soonest = math.min(soonest or wait, wait)
end
if soonest and soonest > 0 then return {'closed', soonest} end
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[2])
return {'ok'}
