-- What is known of a transaction, and when its number may be sent the next SMS for its purpose.
-- KEYS  1 transaction  2 interval  3 sends  4 beginning of the key of wrong codes, which the purpose ends
-- ARGV  2 hourly cap  3 daily cap  4 most wrong codes in an hour  5 in a day
-- Returns {now, next send ms, fields}
local HOUR, DAY = 3600000, 86400000
local wrong = KEYS[4] .. (redis.call('HGET', KEYS[1], 'purpose') or '')
local function free_at(key, cap, window)
  local oldest = redis.call('ZRANGE', key, -cap, -cap, 'WITHSCORES')
  if #oldest == 0 then return 0 end
  return oldest[2] + window
end
local next_send = math.max(tonumber(redis.call('HGET', KEYS[2], 'until') or 0),
  free_at(KEYS[3], ARGV[2], HOUR), free_at(KEYS[3], ARGV[3], DAY), free_at(wrong, ARGV[4], HOUR), free_at(wrong, ARGV[5], DAY))
return {now, next_send, redis.call('HGETALL', KEYS[1])}
