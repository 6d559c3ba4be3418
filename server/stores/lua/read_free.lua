-- KEYS  bitmaps, one for each number, of one slot   ARGV  2… last four digits of each   Returns 1 or 0 for each
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('GETBIT', key, ARGV[i + 1]) end
return found
