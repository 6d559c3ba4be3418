-- KEYS  1… providers   Returns for each {1 if its breaker is open, ms until it may be tried, 1 if it is paused}
local found = {}
for i, key in ipairs(KEYS) do
  local has = redis.call('HMGET', key, 'open', 'probe_at', 'paused')
  found[i] = {has[1] and 1 or 0, has[1] and math.max(0, tonumber(has[2]) - now) or 0, has[3] and 1 or 0}
end
return found
