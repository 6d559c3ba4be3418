-- Is this request new, or one that was sent before under the same key?
-- KEYS  1 request (hash: digest, busy_until, result, until)
-- ARGV  2 digest of the body  3 ms for which the first one may take  4 ms to remember it
-- Returns {'new'|'lapsed'|'other'} or {'busy', ms} or {'done', result}; after new and lapsed it is the caller's to do
if now >= tonumber(redis.call('HGET', KEYS[1], 'until') or 0) then redis.call('DEL', KEYS[1]) end
local has = redis.call('HMGET', KEYS[1], 'digest', 'busy_until', 'result')
if has[1] and has[1] ~= ARGV[2] then return {'other'} end
if has[3] then return {'done', has[3]} end
if has[2] and now < tonumber(has[2]) then return {'busy', has[2] - now} end
redis.call('HSET', KEYS[1], 'digest', ARGV[2], 'busy_until', now + ARGV[3], 'until', now + ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[4] + MARGIN)
return {has[1] and 'lapsed' or 'new'}
