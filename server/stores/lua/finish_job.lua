-- End a job, if the consumer still owns it; a dead one is kept aside with its reason and its age.
-- KEYS  1 job  2 stream  3 dead letters (stream)
-- ARGV  2 group  3 consumer  4 entry  5 id  6 'done'|'dead'  7 reason  8 ms to remember a done job
-- Returns 1 if it was ours to end
local pending = redis.call('XPENDING', KEYS[2], ARGV[2], ARGV[4], ARGV[4], 1)
if #pending == 0 or pending[1][2] ~= ARGV[3] then return 0 end
redis.call('XACK', KEYS[2], ARGV[2], ARGV[4])
redis.call('XDEL', KEYS[2], ARGV[4])
if ARGV[6] == 'dead' then
  local has = redis.call('HMGET', KEYS[1], 'queued_at', 'attempt', 'transaction')
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'job', ARGV[5], 'reason', ARGV[7], 'age_ms',
    has[1] and now - has[1] or 0, 'attempt', has[2] or 0, 'transaction', has[3] or '')
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'status', ARGV[6], 'reason', ARGV[7])
  -- Of one that is dead the number stays as long as its record, so that an operator can have it tried again.
  if ARGV[6] == 'done' then redis.call('HDEL', KEYS[1], 'mobile') end
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
end
return 1
