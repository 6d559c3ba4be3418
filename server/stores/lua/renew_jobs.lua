-- Keep the leases that we hold. One that lapsed and went to somebody else is theirs: two owners would each end the
-- job while the other still works on it.
-- KEYS  1 stream   ARGV  2 group  3 consumer  4… entries   Returns how many are still ours
local kept = 0
for i = 4, #ARGV do
  if #redis.call('XPENDING', KEYS[1], ARGV[2], ARGV[i], ARGV[i], 1, ARGV[3]) > 0 then
    kept = kept + #redis.call('XCLAIM', KEYS[1], ARGV[2], ARGV[3], 0, ARGV[i], 'JUSTID')
  end
end
return kept
