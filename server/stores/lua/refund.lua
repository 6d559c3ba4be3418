-- Give back one charge of each limit.
-- KEYS  one per limit   ARGV  two per key: kind 'rate', emission interval us | 'few', member | 'run', number
for i, key in ipairs(KEYS) do
  local kind, what = ARGV[2 * i], ARGV[2 * i + 1]
  local tat = kind == 'rate' and redis.call('GET', key)
  if tat then redis.call('SET', key, string.format('%.0f', tat - what), 'KEEPTTL') end
  if kind ~= 'rate' then redis.call('ZREM', key, what) end
end
return 1
