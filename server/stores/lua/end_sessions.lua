-- End the sessions of a user, but one. With a version, those that are still being opened by an older one come too late.
-- KEYS  1 index of the user's sessions  2 least version of the account
-- ARGV  2 beginning of their keys, which lie in the slot of the index  3 topic  4 reason  5 id of one to leave, or ''
--       6 version of the account from now on, or ''  7 ms for which somebody may still be on the way in
-- Returns how many have ended
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[2], math.max(tonumber(ARGV[6]), tonumber(redis.call('GET', KEYS[2]) or 0)), 'PX', ARGV[7])
end
local ended = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if id ~= ARGV[5] then
    ended = ended + redis.call('DEL', ARGV[2] .. id)
    redis.call('ZREM', KEYS[1], id)
    redis.call('PUBLISH', ARGV[3], cjson.encode({id = id, reason = ARGV[4]}))
  elseif ARGV[6] ~= '' and redis.call('EXISTS', ARGV[2] .. id) == 1 then
    redis.call('HSET', ARGV[2] .. id, 'version', ARGV[6])
  end
end
return ended
