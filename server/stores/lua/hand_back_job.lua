-- Put a job that we own back in line at once, for another process.
-- KEYS  1 job  2 stream   ARGV  2 group  3 consumer  4 entry  5 id   Returns 1 if it was ours
local pending = redis.call('XPENDING', KEYS[2], ARGV[2], ARGV[4], ARGV[4], 1)
if #pending == 0 or pending[1][2] ~= ARGV[3] then return 0 end
redis.call('XACK', KEYS[2], ARGV[2], ARGV[4])
redis.call('XDEL', KEYS[2], ARGV[4])
redis.call('XADD', KEYS[2], '*', 'job', ARGV[5])
return 1
