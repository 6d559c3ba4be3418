-- Record a job, put it in line, and tell who waits for it; the same id twice is one job.
-- KEYS  1 job (hash)  2 stream  3 intents   ARGV  2 id  3 intent, '' if there is none
--       4 topic, '' if nobody waits  5 what it is told  6… fields
-- Returns 1 if it is new, 0 if it was there, -1 if its intent has lapsed: then the send was failed already
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[3] ~= '' and redis.call('ZREM', KEYS[3], ARGV[3]) == 0 then return -1 end
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'status', 'queued', 'tries', 0, 'queued_at', now, unpack(ARGV, 6))
redis.call('XADD', KEYS[2], '*', 'job', ARGV[2], 'at', now)
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
