-- Say that a process is there; one that joins also learns who else is, and forgets those that have been silent.
-- KEYS  1 members (hash: name → "ms of its end|record")   ARGV  2 name  3 ms that it is known for  4 its record  5 '1': it joins
-- Returns {record, …} of all others, to one that joins.
local others = {}
local known = ARGV[5] == '1' and redis.call('HGETALL', KEYS[1]) or {}
for i = 1, #known, 2 do
  local ends, record = known[i + 1]:match('^(%d+)|(.*)$')
  if tonumber(ends) <= now then redis.call('HDEL', KEYS[1], known[i])
  elseif known[i] ~= ARGV[2] then others[#others + 1] = record end
end
redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f', now + ARGV[3]) .. '|' .. ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3] + MARGIN)
return others
