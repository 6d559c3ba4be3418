-- The same limits for one or more subjects. Of each all are checked, then all are charged, before the next. Three kinds:
--   a rate, by the generic cell rate algorithm: the theoretical arrival time in us (a field of a hash; all rates of a
--   subject share one)
--   few: so many different members in a window (sorted set: member by us)
--   run: so many neighbouring numbers in a window, and the door is shut for a while (sorted set: number by us,
--        and '!' by the us until which it is shut)
-- KEYS  the same for each subject, subject after subject
-- ARGV  2 JSON, for each subject: [whether a captcha was passed, member or number or '' for each limit]
--       3 'enforce'|'observe'|'peek'
--       4 JSON, the limits: [which of the subject's keys, kind 'rate'|'few'|'run', soft?, and then
--         rate: emission interval us, tolerance us, its field   few: window us, how many
--         run: window us, how many neighbours; it is shut for six windows], …
-- Returns for each subject {'ok'|'captcha'|'refused', wait ms, index of the limit, indices charged};
-- 'captcha': a soft limit is used up
local micros = now * 1000
local asked, mode, limits = cjson.decode(ARGV[2]), ARGV[3], cjson.decode(ARGV[4])
local count, call = #KEYS / #asked, redis.call
local tats, moved = {}, {} -- of rates by key and field, which several subjects may share

local since = {}
for i, limit in ipairs(limits) do
  if limit[2] ~= 'rate' then since[i] = '(' .. string.format('%.0f', micros - limit[4]) end
end

local function read_rates(key)
  local flat, found = call('HGETALL', key), {}
  for i = 1, #flat, 2 do found[flat[i]] = tonumber(flat[i + 1]) end
  tats[key] = found
  return found
end

local function judge_rate(key, limit)
  local found, field = tats[key] or read_rates(key), limit[6]
  local tat = math.max(found[field] or 0, micros)
  found[field] = tat
  return tat - micros - limit[5]
end

-- Judging writes nothing: a Redis that is full refuses a script only until its first write.
-- Second: whether it is known in the window.
local function judge_few(key, limit, from, member)
  local at = call('ZSCORE', key, member)
  if at and tonumber(at) > micros - limit[4] then return 0, true end
  local first = call('ZREVRANGEBYSCORE', key, '+inf', from, 'WITHSCORES', 'LIMIT', limit[5] - 1, 1)
  return first[2] and first[2] + limit[4] - micros or 0, false
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
  local near = math.max(tonumber(at[2] or 0), tonumber(at[3] or 0)) > micros - limit[4]
  local full = near and beside(key, from, number) >= limit[5]
  return full and 6 * limit[4] or 0, full
end

local function add(key, member, keep, life)
  call('ZADD', key, micros, member)
  call('ZREMRANGEBYRANK', key, 0, -keep - 1)
  call('PEXPIRE', key, math.ceil(life / 1000) + MARGIN)
end

local function shut(key, limit, number)
  add(key, number, 201, 7 * limit[4])
  call('ZADD', key, micros + 6 * limit[4], '!')
end

-- True if it was charged: of those in a window a member counts from its first time on.
local function pay(key, limit, member, known)
  if limit[2] == 'rate' then
    tats[key][limit[6]] = tats[key][limit[6]] + limit[4]
    moved[key] = true
  elseif known then
    return false
  elseif limit[2] == 'few' then
    add(key, member, limit[5] + 1, limit[4])
  else
    add(key, member, 201, 7 * limit[4])
  end
  return true
end

local JUDGES = {rate = judge_rate, few = judge_few, run = judge_run}

local function judge(before, passed, row)
  local worst, at, soft, waits, known = 0, 0, 0, {}, {}
  local full, otherwise = nil, false
  for i, limit in ipairs(limits) do
    local key, member = KEYS[before + limit[1]], row[i + 1]
    local wait, flag = JUDGES[limit[2]](key, limit, since[i], member)
    waits[i], known[i] = wait, flag
    if wait > 0 then
      if limit[2] == 'run' and flag then full = i elseif not (limit[3] and passed) then otherwise = true end
      if limit[3] then soft = i elseif wait > worst then worst, at = wait, i end
    end
  end
  -- Who is refused for another reason as well shuts no door.
  if full and (mode == 'observe' or (mode == 'enforce' and not otherwise)) then
    shut(KEYS[before + limits[full][1]], limits[full], row[full + 1])
  end
  local charged, verdict = {}, {'ok', 0, 0}
  if worst > 0 then verdict = {'refused', math.ceil(worst / 1000), at}
  elseif soft > 0 and not passed then verdict = {'captcha', 0, soft} end
  verdict[4] = charged
  if mode == 'peek' or (mode == 'enforce' and verdict[1] ~= 'ok') then return verdict end
  for i, limit in ipairs(limits) do
    if waits[i] <= 0 and pay(KEYS[before + limit[1]], limit, row[i + 1], known[i]) then charged[#charged + 1] = i end
  end
  return verdict
end

local verdicts = {}
for i, row in ipairs(asked) do verdicts[i] = judge((i - 1) * count, row[1], row) end
for key in pairs(moved) do
  local flat, latest = {}, micros
  for field, tat in pairs(tats[key]) do
    flat[#flat + 1], flat[#flat + 2] = field, string.format('%.0f', tat)
    latest = math.max(latest, tat)
  end
  call('HSET', key, unpack(flat))
  call('PEXPIRE', key, math.ceil((latest - micros) / 1000) + MARGIN)
end
return verdicts
