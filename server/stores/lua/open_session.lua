-- Begin a session. A user has so many at most; the oldest gives way, and its pages are told. Who was let in by what an
-- account was before a change that ended its sessions comes too late.
-- KEYS  1 session  2 index of the user's sessions: ids by the time they were opened  3 least version of the account
-- ARGV  2 id  3 topic  4 token hash  5 idle ms  6 absolute ms  7 most sessions  8 version  9… further fields
-- Returns 1, or 0 if the account has another version by now
if tonumber(ARGV[8]) < tonumber(redis.call('GET', KEYS[3]) or 0) then return 0 end
local prefix = string.sub(KEYS[1], 1, -#ARGV[2] - 1)
redis.call('ZREM', KEYS[2], ARGV[2])
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local has = redis.call('HMGET', prefix .. id, 'idle_until', 'until')
  if not has[1] or now >= tonumber(has[1]) or now >= tonumber(has[2]) then redis.call('ZREM', KEYS[2], id) end
end
local excess = redis.call('ZCARD', KEYS[2]) + 1 - ARGV[7]
for _, id in ipairs(excess > 0 and redis.call('ZRANGE', KEYS[2], 0, excess - 1) or {}) do
  redis.call('DEL', prefix .. id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('PUBLISH', ARGV[3], cjson.encode({id = id, reason = 'too_many'}))
end
redis.call('HSET', KEYS[1], 'token', ARGV[4], 'opened', now, 'seen', now, 'idle_until', now + ARGV[5],
  'until', now + ARGV[6], 'version', ARGV[8], unpack(ARGV, 9))
redis.call('PEXPIRE', KEYS[1], math.min(ARGV[5], ARGV[6]) + MARGIN)
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[6] + MARGIN)
return 1
