-- KEYS  1 session  2 index of the user's sessions
-- ARGV  2 id  3 topic  4 reason  5 '' or a token hash, which must be one of the last two
-- Returns 1 if the session was there and has ended
local has = redis.call('HMGET', KEYS[1], 'token', 'previous')
if not has[1] then return 0 end
if ARGV[5] ~= '' and has[1] ~= ARGV[5] and has[2] ~= ARGV[5] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('PUBLISH', ARGV[3], cjson.encode({id = ARGV[2], reason = ARGV[4]}))
return 1
