-- Add what one process did since its last beat to the buckets of this moment, and tell who else is there.
-- KEYS  1 fine bucket (hash)  2 coarse bucket (hash)  3 processes (hash: "ms|number|record")  4 watched
-- ARGV  2 process  3 its record  4 '1' if somebody watches here  5 ms to keep the fine bucket  6 the coarse one
--       7 ms after which a silent process is gone  8 number of this beat: one whose answer got lost comes again
--       9… name, count
-- Returns {now, 1 if anybody watches anywhere, process, record, …}
local known = redis.call('HGET', KEYS[3], ARGV[2])
local again = known and known:match('^%d+|(%d+)|') == ARGV[8]
for i = 9, again and 0 or #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1])
end
if #ARGV > 8 then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
if ARGV[4] == '1' then redis.call('SET', KEYS[4], 1, 'PX', 5000) end
redis.call('HSET', KEYS[3], ARGV[2], now .. '|' .. ARGV[8] .. '|' .. ARGV[3])
local answer = {now, redis.call('EXISTS', KEYS[4])}
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  local at, record = all[i + 1]:match('^(%d+)|%d+|(.*)$')
  if not at or now - at > tonumber(ARGV[7]) then
    redis.call('HDEL', KEYS[3], all[i])
  else
    answer[#answer + 1] = all[i]
    answer[#answer + 1] = record
  end
end
return answer
