-- A refresh token is good once. Within the grace, two tabs that used it together get the same successor;
-- later, a second use means that it was stolen, and the session ends (RFC 9700, 4.14.2), however old the token is.
-- KEYS  1 session  2 index of the user's sessions
-- ARGV  2 id  3 topic  4 token hash  5 successor hash  6 idle ms  7 grace ms  8 '1' if we made this token  9 address
-- Returns the fields, nothing, or {'reused'}
local has = redis.call('HMGET', KEYS[1], 'token', 'previous', 'rotated', 'idle_until', 'until')
if not has[1] then return {} end
if now >= tonumber(has[4]) or now >= tonumber(has[5]) then return {} end
if has[1] == ARGV[4] then
  local idle_until = math.min(now + ARGV[6], tonumber(has[5]))
  redis.call('HSET', KEYS[1], 'token', ARGV[5], 'previous', ARGV[4], 'rotated', now, 'idle_until', idle_until,
    'seen', now, 'address', ARGV[9])
  redis.call('PEXPIRE', KEYS[1], idle_until - now + MARGIN)
elseif has[2] == ARGV[4] and now - tonumber(has[3]) <= tonumber(ARGV[7]) then
  if has[1] ~= ARGV[5] then return {} end
elseif has[2] == ARGV[4] or ARGV[8] == '1' then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[2])
  redis.call('PUBLISH', ARGV[3], cjson.encode({id = ARGV[2], reason = 'reused'}))
  return {'reused'}
else
  return {}
end
return redis.call('HGETALL', KEYS[1])
