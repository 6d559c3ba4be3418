-- KEYS  1 session   Returns the account's version it stands for, or '' if it is over. Its last use is kept by minutes.
local has = redis.call('HMGET', KEYS[1], 'version', 'idle_until', 'until', 'seen')
if not has[1] then return '' end
if now >= tonumber(has[2]) or now >= tonumber(has[3]) then return '' end
if now - has[4] >= 60000 then redis.call('HSET', KEYS[1], 'seen', now) end
return has[1]
