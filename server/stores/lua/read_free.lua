-- KEYS  bitmaps, one for each number   ARGV  2 JSON: the last four digits of each   Returns 1 or 0 for each
local found = {}
for i, last in ipairs(cjson.decode(ARGV[2])) do found[i] = redis.call('GETBIT', KEYS[i], last) end
return found
