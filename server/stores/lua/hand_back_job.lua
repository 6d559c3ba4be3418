-- Put a job that we own back in line for another try: at once, or when its time has come.
-- KEYS  1 job  2 stream  3 delayed (sorted set by ms)
-- ARGV  2 group  3 consumer  4 entry  5 id  6 ms to wait   Returns 1 if it was ours
local pending = redis.call('XPENDING', KEYS[2], ARGV[2], ARGV[4], ARGV[4], 1)
if #pending == 0 or pending[1][2] ~= ARGV[3] then return 0 end
redis.call('XACK', KEYS[2], ARGV[2], ARGV[4])
redis.call('XDEL', KEYS[2], ARGV[4])
local at = redis.call('HGET', KEYS[1], 'queued_at') or now
if ARGV[6] == '0' then
  redis.call('XADD', KEYS[2], '*', 'job', ARGV[5], 'at', at)
else
  redis.call('HSET', KEYS[1], 'status', 'delayed', 'tries', 0)
  redis.call('ZADD', KEYS[3], now + ARGV[6], ARGV[5] .. ':' .. at)
end
return 1
