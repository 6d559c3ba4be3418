-- Accept one send for a number: interval, caps and transaction in one step.
-- KEYS  1 transaction (hash)  2 interval (hash: until, owner)  3 sends (sorted set: owner by ms)
--       4 wrong codes of this number and purpose (sorted set by ms)  5 how many of them in a row
--       6 trace of the transaction (list)  7 traced transactions of the number (sorted set by ms)
-- ARGV  2 'enforce'|'observe'  3 mobile name  4 masked mobile  5 purpose  6 nonce  7 key id  8 owner of this send
--       9 interval ms  10 code life ms  11 same-code threshold ms  12 attempts  13 hourly cap  14 daily cap
--       15 '1' for a resend  16 locale  17 '1' if its steps are told to nobody
--       18 most wrong codes in an hour  19 in a day  20 in a row
-- Returns {'ok', now, previous fields, refused-if-enforced, next send ms, fields} or {'unknown'|'stopped', now} or {'too_soon'|'limit', now, wait ms}
local HOUR, DAY = 3600000, 86400000
local previous = redis.call('HGETALL', KEYS[1])
local had = {}
for i = 1, #previous, 2 do had[previous[i]] = previous[i + 1] end

if ARGV[15] == '1' then
  if had.mobile_name ~= ARGV[3] or had.purpose ~= ARGV[5] then return {'unknown', now} end
elseif #previous > 0 then
  return {'unknown', now}
end

redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - DAY)
local function cap_wait(key, cap, window)
  local oldest = redis.call('ZRANGE', key, -cap, -cap, 'WITHSCORES')
  if #oldest == 0 then return 0 end
  return math.max(0, oldest[2] + window - now)
end
local soon = math.max(0, tonumber(redis.call('HGET', KEYS[2], 'until') or 0) - now)
local capped = math.max(cap_wait(KEYS[3], ARGV[13], HOUR), cap_wait(KEYS[3], ARGV[14], DAY))
-- Who guesses is sent no further code to guess at, whether or not limits are only observed.
local guessed = math.max(cap_wait(KEYS[4], ARGV[18], HOUR), cap_wait(KEYS[4], ARGV[19], DAY))
if tonumber(redis.call('GET', KEYS[5]) or 0) >= tonumber(ARGV[20]) then return {'stopped', now} end
if guessed > 0 then return {'limit', now, math.max(guessed, capped, soon)} end
local refused = ''
if capped > 0 then refused = 'limit' elseif soon > 0 then refused = 'too_soon' end
if refused ~= '' and ARGV[2] == 'enforce' then return {refused, now, math.max(capped, soon)} end

local attempts = tonumber(ARGV[12])
local same = #previous > 0 and had.hold == nil and tonumber(had.expires) - now >= tonumber(ARGV[11])
  and tonumber(had.attempts) < attempts
if not same then
  redis.call('HSET', KEYS[1], 'generation', (had.generation or 0) + 1, 'nonce', ARGV[6], 'key', ARGV[7],
    'attempts', 0, 'expires', now + ARGV[10])
  -- A code that is being used now was used before this: when that is done the transaction ends, new code and all.
  if now >= tonumber(had.hold_until or 0) then redis.call('HDEL', KEYS[1], 'hold', 'hold_until', 'hold_generation') end
end
redis.call('HSET', KEYS[1], 'mobile_name', ARGV[3], 'mobile', ARGV[4], 'purpose', ARGV[5], 'owner', ARGV[8],
  'seq', (had.seq or 0) + 1, 'status', 'queued', 'attempt', 0, 'reason', '', 'locale', ARGV[16], 'silent', ARGV[17],
  'queued_at', now)
trace(KEYS[6], 'queued', ARGV[5])
redis.call('ZADD', KEYS[7], now, KEYS[1]:match(':tx:(.*)$'))
redis.call('ZREMRANGEBYRANK', KEYS[7], 0, -21)
redis.call('PEXPIRE', KEYS[7], DAY)
redis.call('PEXPIRE', KEYS[1], ARGV[10] + 1800000)
redis.call('HSET', KEYS[2], 'until', now + ARGV[9], 'owner', ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[9] + MARGIN)
redis.call('ZADD', KEYS[3], now, ARGV[8])
redis.call('PEXPIRE', KEYS[3], DAY + MARGIN)
return {'ok', now, previous, refused, now + ARGV[9], redis.call('HGETALL', KEYS[1])}
