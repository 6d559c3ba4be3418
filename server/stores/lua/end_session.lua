-- KEYS  1 session   ARGV  2 token hash   Returns 1 if the session was there and the token one of its last two
local has = redis.call('HMGET', KEYS[1], 'token', 'previous')
if has[1] ~= ARGV[2] and has[2] ~= ARGV[2] then return 0 end
return redis.call('DEL', KEYS[1])
