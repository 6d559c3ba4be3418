-- A refresh token is good once. Within the grace, two tabs that used it together get the same successor;
-- later, a second use means that it was stolen, and the session ends (RFC 9700, 4.14.2).
-- KEYS  1 session   ARGV  2 token hash  3 successor hash  4 idle ms  5 grace ms
-- Returns the fields, or nothing
local has = redis.call('HMGET', KEYS[1], 'token', 'previous', 'rotated', 'idle_until', 'until')
if not has[1] then return {} end
if now >= tonumber(has[4]) or now >= tonumber(has[5]) then return {} end
if has[1] == ARGV[2] then
  local idle_until = math.min(now + ARGV[4], tonumber(has[5]))
  redis.call('HSET', KEYS[1], 'token', ARGV[3], 'previous', ARGV[2], 'rotated', now, 'idle_until', idle_until)
  redis.call('PEXPIRE', KEYS[1], idle_until - now + MARGIN)
elseif has[2] ~= ARGV[2] then
  return {}
elseif has[1] ~= ARGV[3] or now - tonumber(has[3]) > tonumber(ARGV[5]) then
  if now - tonumber(has[3]) > tonumber(ARGV[5]) then redis.call('DEL', KEYS[1]) end
  return {}
end
return redis.call('HGETALL', KEYS[1])
