-- KEYS  1 controls (hash)   ARGV  2 name of the block  3 ms it lasts  4 what is shown of it  5 most controls
-- Returns the ms of its end, or 0 if there are too many
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) and redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return 0 end
local ends = now + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[2], ends .. '|' .. ARGV[4])
return ends
