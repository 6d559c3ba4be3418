-- What is known of a transaction, and when its number may be sent the next SMS for its purpose.
-- KEYS  1 transaction, and the beginnings of three keys that the number's name ends: 2 interval  3 sends  4 wrong
--       codes, where the purpose follows. Only the transaction says which they are; all are in its slot.
-- ARGV  2 hourly cap  3 daily cap  4 most wrong codes in an hour  5 in a day
-- Returns {now, next send ms, fields}
local HOUR, DAY = 3600000, 86400000
local flat, has = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #flat, 2 do has[flat[i]] = flat[i + 1] end
local name = has.mobile_name
if not name then return {now, 0, {}} end
local function free_at(key, cap, window)
  local oldest = redis.call('ZRANGE', key, -cap, -cap, 'WITHSCORES')
  return #oldest > 0 and oldest[2] + window or 0
end
local sends, wrong = KEYS[3] .. name, KEYS[4] .. name .. ':' .. has.purpose
local next_send = math.max(tonumber(redis.call('HGET', KEYS[2] .. name, 'until') or 0),
  free_at(sends, ARGV[2], HOUR), free_at(sends, ARGV[3], DAY), free_at(wrong, ARGV[4], HOUR), free_at(wrong, ARGV[5], DAY))
return {now, next_send, flat}
