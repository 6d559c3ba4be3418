-- Wrong codes of the whole service, by hours.
-- KEYS  the present hour and the 24 before it   ARGV  2 '1' to count one more  3 most in an hour, at the least  4 hour ms
-- Returns {wrong codes this hour, how many are allowed: five times the mean of the day before, or ARGV[3]}
if ARGV[2] == '1' then
  redis.call('INCR', KEYS[1])
  redis.call('PEXPIRE', KEYS[1], 26 * ARGV[4])
end
local before = 0
for i = 2, #KEYS do before = before + tonumber(redis.call('GET', KEYS[i]) or 0) end
return {tonumber(redis.call('GET', KEYS[1]) or 0), math.max(tonumber(ARGV[3]), math.floor(5 * before / (#KEYS - 1)))}
