-- Which provider sends this SMS, and when: the first that may be asked and has room in its rate at once, else the one
-- that has room soonest. Its place in the rate is taken, and the job remembers who is being asked: if we die now,
-- whoever takes the job over knows that the outcome is unknown.
-- KEYS  1 job  2… providers in order of preference
-- ARGV  2 longest wait ms  3 ms between probes of an open one, then per provider: name, us per SMS, tolerance us
-- Returns {place among the providers or 0, ms to wait, which try this is}
local best, best_wait, soonest
for i = 2, #KEYS do
  local at = 3 * i - 2
  local has = redis.call('HMGET', KEYS[i], 'open', 'probe_at', 'tat', 'paused')
  local closed_for = has[1] and math.max(0, tonumber(has[2]) - now) or 0
  if has[4] then closed_for = math.max(closed_for, PAUSED) end
  local wait = math.max(0, math.ceil((tonumber(has[3] or 0) - now * 1000 - ARGV[at + 2]) / 1000))
  local until_free = math.max(closed_for, wait)
  soonest = math.min(soonest or until_free, until_free)
  if closed_for == 0 and wait <= tonumber(ARGV[2]) and (not best or wait < best_wait) then
    best, best_wait = i, wait
    if wait == 0 then break end
  end
end
if not best then return {0, soonest or 0, 0} end
local key, at = KEYS[best], 3 * best - 2
local tat = math.max(tonumber(redis.call('HGET', key, 'tat') or 0), now * 1000) + ARGV[at + 1]
redis.call('HSET', key, 'tat', string.format('%.0f', tat))
if redis.call('HEXISTS', key, 'open') == 1 then redis.call('HSET', key, 'probe_at', now + ARGV[3]) end
redis.call('HSET', KEYS[1], 'calling', ARGV[at], 'called_at', now + best_wait)
redis.call('HINCRBY', KEYS[1], 'tries:' .. ARGV[at], 1)
return {best - 1, best_wait, redis.call('HINCRBY', KEYS[1], 'attempt', 1)}
