-- The limits of one group: all are checked, then all are charged. Three kinds:
--   a rate, by the generic cell rate algorithm: one number, the theoretical arrival time in us
--   few: so many different members in a window (sorted set: member by us)
--   run: so many neighbouring numbers in a window, and the door is shut for a while (sorted set: number by us,
--        and '!' by the us until which it is shut)
-- KEYS  one per limit
-- ARGV  2 'enforce'|'observe'|'peek'  3 '1' if a captcha was passed
--       then five per key: kind 'rate'|'few'|'run', 'soft'|'hard', then
--         rate: emission interval us, tolerance us, ''   few: window us, how many, member
--         run: window us, how many neighbours, number; it is shut for six windows
-- Returns {'ok'|'captcha'|'refused', wait ms, index of the limit, indices charged};
-- 'captcha': a soft limit is used up
local micros = now * 1000
local function judge_rate(key, emission, tolerance)
  local tat = math.max(tonumber(redis.call('GET', key) or 0), micros)
  return tat - micros - tolerance, function()
    redis.call('SET', key, string.format('%.0f', tat + emission), 'PX', math.ceil((tat + emission - micros) / 1000) + MARGIN)
  end
end

-- Judging writes nothing: a Redis that is full refuses a script only until its first write.
local function judge_few(key, window, most, member)
  local from, wait = '(' .. string.format('%.0f', micros - window), 0
  local at = redis.call('ZSCORE', key, member)
  local known = at and tonumber(at) > micros - window
  if not known then
    local first = redis.call('ZREVRANGEBYSCORE', key, '+inf', from, 'WITHSCORES', 'LIMIT', most - 1, 1)
    if #first > 0 then wait = first[2] + window - micros end
  end
  return wait, function()
    if known then return false end -- a member counts from its first time on
    redis.call('ZADD', key, micros, member)
    redis.call('ZREMRANGEBYRANK', key, 0, -most - 2)
    redis.call('PEXPIRE', key, math.ceil(window / 1000) + MARGIN)
  end
end

local function judge_run(key, window, most, number)
  local shut = tonumber(redis.call('ZSCORE', key, '!') or 0)
  if shut > micros then return shut - micros, function() return false end end
  local seen, beside = {[tonumber(number)] = true}, 0
  local from = '(' .. string.format('%.0f', micros - window)
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', key, from, '+inf')) do seen[tonumber(one) or -9] = true end
  for one in pairs(seen) do
    if one >= 0 and (seen[one - 1] or seen[one + 1]) then beside = beside + 1 end
  end
  local runs = beside >= tonumber(most)
  return runs and 6 * window or 0, function()
    redis.call('ZADD', key, micros, number)
    if runs then redis.call('ZADD', key, micros + 6 * window, '!') end
    redis.call('ZREMRANGEBYRANK', key, 0, -202)
    redis.call('PEXPIRE', key, math.ceil(7 * window / 1000) + MARGIN)
  end, runs
end

local JUDGES = {rate = judge_rate, few = judge_few, run = judge_run}
local charge, worst, at, soft = {}, 0, 0, 0
for i, key in ipairs(KEYS) do
  local n = 5 * i - 1
  local wait, pay, always = JUDGES[ARGV[n]](key, ARGV[n + 2], ARGV[n + 3], ARGV[n + 4])
  if wait <= 0 then
    charge[#charge + 1] = {pay, i}
  else
    -- Whoever makes a run full is refused, and that is what shuts the door.
    if always and ARGV[2] ~= 'peek' then pay() end
    if ARGV[n + 1] == 'soft' then soft = i elseif wait > worst then worst, at = wait, i end
  end
end
local charged, verdict = {}, {'ok', 0, 0}
if worst > 0 then verdict = {'refused', math.ceil(worst / 1000), at}
elseif soft > 0 and ARGV[3] ~= '1' then verdict = {'captcha', 0, soft} end
verdict[4] = charged
if ARGV[2] == 'peek' or (ARGV[2] == 'enforce' and verdict[1] ~= 'ok') then return verdict end
for _, one in ipairs(charge) do
  if one[1]() ~= false then charged[#charged + 1] = one[2] end
end
return verdict
