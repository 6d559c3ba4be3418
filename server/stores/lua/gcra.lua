-- Generic cell rate algorithm over the dimensions of one group: all are checked, then all are charged.
-- KEYS  one per limit
-- ARGV  2 'enforce'|'observe'|'peek'  3 '1' if a captcha was passed
--       then three per key: emission interval us, tolerance us, 'soft' | 'hard'
-- Returns {'ok'|'captcha'|'refused', wait ms, index of the limit, indices of the charged ones};
-- 'captcha': a soft limit is used up
local micros = now * 1000
local charge, worst, at, soft = {}, 0, 0, 0
for i, key in ipairs(KEYS) do
  local emission, tolerance, kind = ARGV[3 * i + 1], ARGV[3 * i + 2], ARGV[3 * i + 3]
  local tat = math.max(tonumber(redis.call('GET', key) or 0), micros)
  local wait = tat - micros - tolerance
  if wait <= 0 then
    charge[#charge + 1] = {key, tat + emission, i}
  elseif kind == 'soft' then
    soft = i
  elseif wait > worst then
    worst, at = wait, i
  end
end
local verdict, charged = {'ok', 0, 0}, {}
if worst > 0 then verdict = {'refused', math.ceil(worst / 1000), at}
elseif soft > 0 and ARGV[3] ~= '1' then verdict = {'captcha', 0, soft} end
verdict[4] = charged
if ARGV[2] == 'peek' or (ARGV[2] == 'enforce' and verdict[1] ~= 'ok') then return verdict end
for n, one in ipairs(charge) do
  charged[n] = one[3]
  redis.call('SET', one[1], string.format('%.0f', one[2]), 'PX', math.ceil((one[2] - micros) / 1000) + MARGIN)
end
return verdict
