-- KEYS  1… buckets (hashes)   Returns the fields of each
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('HGETALL', key) end
return found
