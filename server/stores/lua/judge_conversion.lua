-- Judge one group of numbers (a block, or all) by how many of its last sends were verified, and note one more send.
-- A send is judged only when its code can no longer be used, verified or not, so a rush of new ones proves nothing.
-- KEYS  1 waiting (sorted set: transaction by ms of its last send, '+' before it once verified)
--       2 outcomes (list, newest first: '1' | '0')  3 state (hash: low_since, stop_until, told)
-- ARGV  2 'enforce'|'observe'|'peek'  3 transaction, '' to note none  4 '1' if a dearer captcha was passed  5 ms until one is judged
--       6 outcomes kept  7 fewest to judge by  8 low %  9 stop %  10 ms low before it counts  11 ms of a stop
--       12 most that wait  13 ms after which an idle group is forgotten
-- Returns {'open'|'captcha'|'stopped', wait ms, judged, verified, '1' if it may go, '1' if the first is news}
local waiting, outcomes, state = KEYS[1], KEYS[2], KEYS[3]
for _, one in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', now - ARGV[5], 'LIMIT', 0, 500)) do
  redis.call('LPUSH', outcomes, one:sub(1, 1) == '+' and '1' or '0')
  redis.call('ZREM', waiting, one)
end
redis.call('LTRIM', outcomes, 0, ARGV[6] - 1)
local judged, verified = 0, 0
for _, outcome in ipairs(redis.call('LRANGE', outcomes, 0, -1)) do
  judged, verified = judged + 1, verified + tonumber(outcome)
end

local has = redis.call('HMGET', state, 'low_since', 'stop_until', 'told')
local low, stop = tonumber(has[1] or 0), tonumber(has[2] or 0)
local enough, share = judged >= tonumber(ARGV[7]), verified * 100
if enough and share >= judged * ARGV[8] then low = 0 elseif enough and low == 0 then low = now end
local verdict = 'open'
if stop > now then
  verdict = 'stopped'
elseif low > 0 and now - low >= tonumber(ARGV[10]) then
  verdict = 'captcha'
  if enough and share < judged * ARGV[9] then
    verdict, stop = 'stopped', now + ARGV[11]
    -- What was sent before the stop is not held against what comes after it.
    redis.call('DEL', waiting, outcomes)
  end
end
local news = verdict ~= (has[3] or 'open')
redis.call('HSET', state, 'low_since', low, 'stop_until', stop, 'told', verdict)

local allowed = verdict == 'open' or (verdict == 'captcha' and ARGV[4] == '1') or ARGV[2] == 'observe'
local noted = ARGV[2] ~= 'peek' and allowed
-- When too many wait a new one is left out: those before it are a fair sample, and would never be judged if they gave way.
if noted and ARGV[3] ~= '' and redis.call('ZCARD', waiting) < tonumber(ARGV[12]) then redis.call('ZADD', waiting, now, ARGV[3]) end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[13]) end
return {verdict, math.max(0, stop - now), judged, verified, noted and '1' or '', news and '1' or ''}
