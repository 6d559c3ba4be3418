-- Give back one charge of each limit.
-- KEYS  one per limit   ARGV  three per key: kind 'rate', emission interval us, field | 'few' or 'run', member, ''
for i, key in ipairs(KEYS) do
  local kind, what, field = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  if kind ~= 'rate' then
    redis.call('ZREM', key, what)
  elseif redis.call('HEXISTS', key, field) == 1 then
    redis.call('HINCRBY', key, field, -what)
  end
end
return 1
