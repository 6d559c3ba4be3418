-- Put down what was read, if nobody took the pen meanwhile. SET takes just the memory that is needed.
-- KEYS  1 bitmap  2 pen (hash: who, ends)   ARGV  2 who  3 the bitmap  4 ms that it lasts
-- Returns what it was: 'made', 'mended', or 'overtaken' and nothing was written
if redis.call('HGET', KEYS[2], 'who') ~= ARGV[2] then return 'overtaken' end
local before = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('DEL', KEYS[2])
return before == 1 and 'mended' or 'made'
