-- Put a dead job in line again, as new.
-- KEYS  1 job  2 stream  3 dead letters (stream)  4 intents   ARGV  2 id  3 its entry among the dead  4 intent
-- Returns 1, or 0 if it is not dead (any more)
local has = redis.call('HMGET', KEYS[1], 'status', 'mobile')
if has[1] ~= 'dead' or not has[2] then return 0 end
-- Somebody dropped it meanwhile, or took so long that the send was failed anew.
if ARGV[4] ~= '' and redis.call('ZREM', KEYS[4], ARGV[4]) == 0 then return 0 end
if redis.call('XDEL', KEYS[3], ARGV[3]) == 0 then return 0 end
local kept = {}
for _, name in ipairs({'transaction', 'mobile', 'name', 'notice', 'locale', 'until'}) do
  local value = redis.call('HGET', KEYS[1], name)
  if value then kept[#kept + 1] = name; kept[#kept + 1] = value end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'status', 'queued', 'tries', 0, 'queued_at', now, unpack(kept))
redis.call('XADD', KEYS[2], '*', 'job', ARGV[2], 'at', now)
return 1
