-- Which try of a message this is, and which fault it meets. A message takes one of the panel's N at its first try only,
-- and what it met then it meets at each further try.
-- KEYS  1 faults of the panel  2 this message   ARGV  2 fault of its number, or '' if its provider plays none
-- Returns {fault, number of the try, 1 if it took one of N}
local try = redis.call('HINCRBY', KEYS[2], 'tries', 1)
redis.call('PEXPIRE', KEYS[2], 86400000)
if ARGV[2] == '' then return {'none', try, 0} end
local met = redis.call('HGET', KEYS[2], 'fault')
if met then return {met, try, 0} end
local set = redis.call('HMGET', KEYS[1], 'fault', 'left')
local fault, took = set[1] or ARGV[2], 0
if set[2] and set[2] ~= '' then
  took = 1
  if redis.call('HINCRBY', KEYS[1], 'left', -1) <= 0 then redis.call('DEL', KEYS[1]) end
end
redis.call('HSET', KEYS[2], 'fault', fault)
return {fault, try, took}
