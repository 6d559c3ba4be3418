-- The limits of one or more groups. Of each group all are checked, then all are charged, before the next. Three kinds:
--   a rate, by the generic cell rate algorithm: one number, the theoretical arrival time in us
--   few: so many different members in a window (sorted set: member by us)
--   run: so many neighbouring numbers in a window, and the door is shut for a while (sorted set: number by us,
--        and '!' by the us until which it is shut)
-- KEYS  one per limit, group after group
-- ARGV  2 JSON, a row per group: ['enforce'|'observe'|'peek', whether a captcha was passed, limits], and a limit is
--         ['rate', soft?, emission interval us, tolerance us]   ['few', soft?, window us, how many, member]
--         ['run', soft?, window us, how many neighbours, number]; it is shut for six windows
-- Returns per group {'ok'|'captcha'|'refused', wait ms, index of the limit, indices charged};
-- 'captcha': a soft limit is used up
local micros = now * 1000
local tats, moved = {}, {} -- of rates, which several groups may share

local function judge_rate(key, emission, tolerance)
  local tat = tats[key]
  if not tat then
    tat = tonumber(redis.call('GET', key) or 0)
    tats[key] = tat
  end
  tat = math.max(tat, micros)
  return tat - micros - tolerance, function()
    tats[key], moved[key] = tat + emission, true
  end
end

-- Judging writes nothing: a Redis that is full refuses a script only until its first write.
local function judge_few(key, window, most, member)
  local from, wait = '(' .. string.format('%.0f', micros - window), 0
  local at = redis.call('ZSCORE', key, member)
  local known = at and tonumber(at) > micros - window
  if not known and redis.call('ZCOUNT', key, from, '+inf') >= most then
    local first = redis.call('ZREVRANGEBYSCORE', key, '+inf', from, 'WITHSCORES', 'LIMIT', most - 1, 1)
    wait = first[2] + window - micros
  end
  return wait, function()
    if known then return false end -- a member counts from its first time on
    redis.call('ZADD', key, micros, member)
    redis.call('ZREMRANGEBYRANK', key, 0, -most - 2)
    redis.call('PEXPIRE', key, math.ceil(window / 1000) + MARGIN)
  end
end

-- How many of the numbers in the window, this one among them, have a neighbour there.
local function beside(key, from, number)
  local seen, count = {[tonumber(number)] = true}, 0
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', from), '+inf')) do
    seen[tonumber(one) or -9] = true
  end
  for one in pairs(seen) do
    if one >= 0 and (seen[one - 1] or seen[one + 1]) then count = count + 1 end
  end
  return count
end

local function judge_run(key, window, most, number)
  local from = micros - window
  local at = redis.call('ZMSCORE', key, '!', number - 1, number + 1)
  local shut = tonumber(at[1] or 0)
  if shut > micros then return shut - micros, function() return false end end
  -- A number without neighbours makes no run fuller than it was.
  local near = math.max(tonumber(at[2] or 0), tonumber(at[3] or 0)) > from
  local runs = near and beside(key, from, number) >= most
  return runs and 6 * window or 0, function()
    redis.call('ZADD', key, micros, number)
    if runs then redis.call('ZADD', key, micros + 6 * window, '!') end
    redis.call('ZREMRANGEBYRANK', key, 0, -202)
    redis.call('PEXPIRE', key, math.ceil(7 * window / 1000) + MARGIN)
  end, runs
end

local JUDGES = {rate = judge_rate, few = judge_few, run = judge_run}

local function judge_group(before, row)
  local mode, passed = row[1], row[2]
  local charge, worst, at, soft = {}, 0, 0, 0
  for i, limit in ipairs(row[3]) do
    local wait, pay, always = JUDGES[limit[1]](KEYS[before + i], limit[3], limit[4], limit[5])
    if wait <= 0 then
      charge[#charge + 1] = {pay, i}
    else
      -- Whoever makes a run full is refused, and that is what shuts the door.
      if always and mode ~= 'peek' then pay() end
      if limit[2] then soft = i elseif wait > worst then worst, at = wait, i end
    end
  end
  local charged, verdict = {}, {'ok', 0, 0}
  if worst > 0 then verdict = {'refused', math.ceil(worst / 1000), at}
  elseif soft > 0 and not passed then verdict = {'captcha', 0, soft} end
  verdict[4] = charged
  if mode == 'peek' or (mode == 'enforce' and verdict[1] ~= 'ok') then return verdict end
  for _, one in ipairs(charge) do
    if one[1]() ~= false then charged[#charged + 1] = one[2] end
  end
  return verdict
end

local verdicts, before = {}, 0
for i, row in ipairs(cjson.decode(ARGV[2])) do
  verdicts[i] = judge_group(before, row)
  before = before + #row[3]
end
for key in pairs(moved) do
  local tat = tats[key]
  redis.call('SET', key, string.format('%.0f', tat), 'PX', math.ceil((tat - micros) / 1000) + MARGIN)
end
return verdicts
