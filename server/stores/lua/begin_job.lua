-- Count the try that begins now and read the job.
-- KEYS  1 job   Returns its fields, empty if the record is gone
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
redis.call('HINCRBY', KEYS[1], 'tries', 1)
redis.call('HSET', KEYS[1], 'status', 'working')
return redis.call('HGETALL', KEYS[1])
