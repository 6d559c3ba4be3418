-- What is known of transactions, and when the number of each may be sent the next SMS for its purpose.
-- KEYS  of each the transaction, and the beginnings of three keys that the number's name ends: interval, sends, wrong
--       codes (where the purpose follows). Only the transaction says which they are; all are in its slot.
-- ARGV  3 hourly cap  4 daily cap  5 most wrong codes in an hour  6 in a day
-- Returns of each {now, next send ms, fields}; no fields if it is unknown
local HOUR, DAY = 3600000, 86400000

local function free_at(key, cap, window)
  local oldest = redis.call('ZRANGE', key, -cap, -cap, 'WITHSCORES')
  return #oldest > 0 and oldest[2] + window or 0
end

local function describe(transaction, interval, sends, wrong)
  local flat, has = redis.call('HGETALL', transaction), {}
  for i = 1, #flat, 2 do has[flat[i]] = flat[i + 1] end
  local name = has.mobile_name
  if not name then return {now, 0, {}} end
  sends, wrong = sends .. name, wrong .. name .. ':' .. has.purpose
  local next_send = math.max(tonumber(redis.call('HGET', interval .. name, 'until') or 0),
    free_at(sends, ARGV[3], HOUR), free_at(sends, ARGV[4], DAY),
    free_at(wrong, ARGV[5], HOUR), free_at(wrong, ARGV[6], DAY))
  return {now, next_send, flat}
end

local found = {}
for i = 1, #KEYS, 4 do found[#found + 1] = describe(unpack(KEYS, i, i + 3)) end
return found
