-- KEYS  1 index of the user's sessions
-- ARGV  2 beginning of their keys, which lie in the slot of the index  3 topic  4 reason  5 id of one to leave, or ''
-- Returns how many have ended
local ended = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if id ~= ARGV[5] then
    ended = ended + redis.call('DEL', ARGV[2] .. id)
    redis.call('ZREM', KEYS[1], id)
    redis.call('PUBLISH', ARGV[3], cjson.encode({id = id, reason = ARGV[4]}))
  end
end
return ended
