-- KEYS  1 index of the user's sessions   ARGV  2 beginning of their keys, which lie in the slot of the index
-- Returns id, device, address, opened, last seen of each that lives, the newest first
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local has = redis.call('HMGET', ARGV[2] .. id, 'idle_until', 'until', 'device', 'address', 'opened', 'seen')
  if has[1] and now < tonumber(has[1]) and now < tonumber(has[2]) then
    table.insert(found, {id, has[3], has[4], has[5], has[6]})
  end
end
return found
