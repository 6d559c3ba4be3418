-- What has to be done now and then: jobs whose time has come get in line, lapsed intents are named, and the queue
-- is measured.
-- KEYS  1 stream  2 delayed (sorted set by ms)  3 intents (sorted set by ms)   ARGV  2 group  3 most of each at once
-- Returns {ms until the next delayed job or -1, jobs in line, jobs delayed, age of the oldest ms, jobs being worked on, lapsed intents}
local due = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  local id, at = member:match('^(.*):(%d+)$')
  redis.call('XADD', KEYS[1], '*', 'job', id, 'at', at)
  redis.call('ZREM', KEYS[2], member)
end
local function age(at) return at and math.max(0, now - tonumber(at)) or 0 end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local oldest = #first > 0 and age(first[1][2][4]) or 0
local next_due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if #next_due > 0 then oldest = math.max(oldest, age(next_due[1]:match(':(%d+)$'))) end
local ok, pending = pcall(redis.call, 'XPENDING', KEYS[1], ARGV[2])
local working = ok and pending[1] or 0
return {#next_due > 0 and math.max(0, next_due[2] - now) or -1, redis.call('XLEN', KEYS[1]) - working,
  redis.call('ZCARD', KEYS[2]), oldest, working,
  redis.call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[3])}
