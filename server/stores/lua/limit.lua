-- The same limits for one or more subjects. Of each all are checked, then all are charged, before the next. Three kinds:
--   a rate, by the generic cell rate algorithm: one number, the theoretical arrival time in us
--   few: so many different members in a window (sorted set: member by us)
--   run: so many neighbouring numbers in a window, and the door is shut for a while (sorted set: number by us,
--        and '!' by the us until which it is shut)
-- KEYS  one per limit, subject after subject
-- ARGV  2 JSON, for each subject: [whether a captcha was passed, member or number or '' for each limit]
--       3 'enforce'|'observe'|'peek'
--       4 JSON, the limits: [kind 'rate'|'few'|'run', soft?, and then
--         rate: emission interval us, tolerance us   few: window us, how many
--         run: window us, how many neighbours; it is shut for six windows], …
-- Returns for each subject {'ok'|'captcha'|'refused', wait ms, index of the limit, indices charged};
-- 'captcha': a soft limit is used up
local micros = now * 1000
local mode, limits = ARGV[3], cjson.decode(ARGV[4])
local count, call = #limits, redis.call
local tats, moved = {}, {} -- of rates, which several subjects may share

local since, rates = {}, 0
for i, limit in ipairs(limits) do
  if limit[1] == 'rate' then
    if rates == i - 1 then rates = i end
  else
    since[i] = '(' .. string.format('%.0f', micros - limit[3])
  end
end

-- Those of the first limits of a subject in one call: most subjects have some, and only those.
local function read_rates(before)
  local first = KEYS[before + 1]
  if rates == 0 or tats[first] then return end
  for i, tat in ipairs(call('MGET', unpack(KEYS, before + 1, before + rates))) do
    tats[KEYS[before + i]] = tonumber(tat or 0)
  end
end

local function judge_rate(key, limit)
  local tat = tats[key] or tonumber(call('GET', key) or 0)
  if tat < micros then tat = micros end
  tats[key] = tat
  return tat - micros - limit[4]
end

-- Judging writes nothing: a Redis that is full refuses a script only until its first write.
-- Second: whether it is known in the window.
local function judge_few(key, limit, from, member)
  local at, most = call('ZSCORE', key, member), limit[4]
  if at and tonumber(at) > micros - limit[3] then return 0, true end
  if call('ZCOUNT', key, from, '+inf') < most then return 0, false end
  local first = call('ZREVRANGEBYSCORE', key, '+inf', from, 'WITHSCORES', 'LIMIT', most - 1, 1)
  return first[2] + limit[3] - micros, false
end

-- How many of the numbers in the window, this one among them, have a neighbour there.
local function beside(key, from, number)
  local seen, found = {[tonumber(number)] = true}, 0
  for _, one in ipairs(call('ZRANGEBYSCORE', key, from, '+inf')) do seen[tonumber(one) or -9] = true end
  for one in pairs(seen) do
    if one >= 0 and (seen[one - 1] or seen[one + 1]) then found = found + 1 end
  end
  return found
end

-- Second: whether this number makes the run full; whoever does is refused, and that is what shuts the door.
local function judge_run(key, limit, from, number)
  local at = call('ZMSCORE', key, '!', number - 1, number + 1)
  local shut = tonumber(at[1] or 0)
  if shut > micros then return shut - micros, false end
  -- A number without neighbours makes no run fuller than it was.
  local near = math.max(tonumber(at[2] or 0), tonumber(at[3] or 0)) > micros - limit[3]
  local full = near and beside(key, from, number) >= limit[4]
  return full and 6 * limit[3] or 0, full
end

local function add(key, member, keep, life)
  call('ZADD', key, micros, member)
  call('ZREMRANGEBYRANK', key, 0, -keep - 1)
  call('PEXPIRE', key, math.ceil(life / 1000) + MARGIN)
end

local function shut(key, limit, number)
  add(key, number, 201, 7 * limit[3])
  call('ZADD', key, micros + 6 * limit[3], '!')
end

-- True if it was charged: of those in a window a member counts from its first time on.
local function pay(key, limit, member, known)
  if limit[1] == 'rate' then
    tats[key], moved[key] = tats[key] + limit[3], true
  elseif known then
    return false
  elseif limit[1] == 'few' then
    add(key, member, limit[4] + 1, limit[3])
  else
    add(key, member, 201, 7 * limit[3])
  end
  return true
end

local JUDGES = {rate = judge_rate, few = judge_few, run = judge_run}

local function judge(before, passed, row)
  local worst, at, soft, waits, known = 0, 0, 0, {}, {}
  local full, otherwise = nil, false
  read_rates(before)
  for i, limit in ipairs(limits) do
    local key, member = KEYS[before + i], row[i + 1]
    local wait, flag = JUDGES[limit[1]](key, limit, since[i], member)
    waits[i], known[i] = wait, flag
    if wait > 0 then
      if limit[1] == 'run' and flag then full = i elseif not (limit[2] and passed) then otherwise = true end
      if limit[2] then soft = i elseif wait > worst then worst, at = wait, i end
    end
  end
  -- Who is refused for another reason as well shuts no door.
  if full and (mode == 'observe' or (mode == 'enforce' and not otherwise)) then
    shut(KEYS[before + full], limits[full], row[full + 1])
  end
  local charged, verdict = {}, {'ok', 0, 0}
  if worst > 0 then verdict = {'refused', math.ceil(worst / 1000), at}
  elseif soft > 0 and not passed then verdict = {'captcha', 0, soft} end
  verdict[4] = charged
  if mode == 'peek' or (mode == 'enforce' and verdict[1] ~= 'ok') then return verdict end
  for i, limit in ipairs(limits) do
    if waits[i] <= 0 and pay(KEYS[before + i], limit, row[i + 1], known[i]) then charged[#charged + 1] = i end
  end
  return verdict
end

local verdicts = {}
for i, row in ipairs(cjson.decode(ARGV[2])) do verdicts[i] = judge((i - 1) * count, row[1], row) end
for key in pairs(moved) do
  local tat = tats[key]
  call('SET', key, string.format('%.0f', tat), 'PX', math.ceil((tat - micros) / 1000) + MARGIN)
end
return verdicts
