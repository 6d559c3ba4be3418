-- What is known of a transaction, and when its number may be sent the next SMS.
-- KEYS  1 transaction  2 interval  3 sends   ARGV  2 hourly cap  3 daily cap
-- Returns {now, next send ms, fields}
local function free_at(cap, window)
  local oldest = redis.call('ZRANGE', KEYS[3], -cap, -cap, 'WITHSCORES')
  if #oldest == 0 then return 0 end
  return oldest[2] + window
end
local next_send = math.max(tonumber(redis.call('HGET', KEYS[2], 'until') or 0),
  free_at(ARGV[2], 3600000), free_at(ARGV[3], 86400000))
return {now, next_send, redis.call('HGETALL', KEYS[1])}
