-- Record a job and put it in line; the same id twice is one job.
-- KEYS  1 job (hash)  2 stream   ARGV  2 id, 3… fields   Returns 1 if it is new
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'status', 'queued', 'tries', 0, 'queued_at', now, unpack(ARGV, 3))
redis.call('XADD', KEYS[2], '*', 'job', ARGV[2])
return 1
