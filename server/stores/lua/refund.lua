-- Give back one charge of each limit.
-- KEYS  one per limit   ARGV  2… emission interval us, one per key
for i, key in ipairs(KEYS) do
  local tat = redis.call('GET', key)
  if tat then redis.call('SET', key, string.format('%.0f', tat - ARGV[i + 1]), 'KEEPTTL') end
end
return 1
