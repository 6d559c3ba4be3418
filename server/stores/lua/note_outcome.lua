-- What became of one call of a provider: its breaker learns it. After a failure the job is no longer calling; after a
-- success it stays so until it ends, lest a crash in between sends it again.
-- The breaker opens when `share` of the last `size` calls within the window failed; then one call per pause is a
-- probe, and the first that works closes it.
-- KEYS  1 job  2 provider
-- ARGV  2 'ok' | 'bad' | 'neutral' (refused, but not the provider's fault) | 'none' (nothing learnt)  3 window ms  4 size  5 share  6 pause ms
--       7 since when the outcome of a call is not known: ms, 'now', or '' if it is known  8… fields of the job
-- Returns 'open' | 'opened' | 'closed' | 'reclosed'
if ARGV[2] ~= 'ok' and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HDEL', KEYS[1], 'calling', 'called_at')
  if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'unknown_at', ARGV[7] == 'now' and now or ARGV[7]) end
  if #ARGV > 7 then redis.call('HSET', KEYS[1], unpack(ARGV, 8)) end
end
local open = redis.call('HEXISTS', KEYS[2], 'open') == 1
if ARGV[2] == 'none' then return open and 'open' or 'closed' end
if open then
  if ARGV[2] ~= 'bad' then
    redis.call('HDEL', KEYS[2], 'open', 'probe_at', 'recent')
    return 'reclosed'
  end
  redis.call('HSET', KEYS[2], 'probe_at', now + ARGV[6])
  return 'open'
end
local recent, kept, bad = redis.call('HGET', KEYS[2], 'recent') or '', {}, 0
for at, mark in ((now .. (ARGV[2] == 'bad' and '-' or '+')) .. recent):gmatch('(%d+)([+-])') do
  if #kept < tonumber(ARGV[4]) and tonumber(at) > now - ARGV[3] then
    kept[#kept + 1] = at .. mark
    if mark == '-' then bad = bad + 1 end
  end
end
if #kept >= tonumber(ARGV[4]) and bad >= #kept * ARGV[5] then
  redis.call('HSET', KEYS[2], 'open', now, 'probe_at', now + ARGV[6], 'recent', '')
  return 'opened'
end
redis.call('HSET', KEYS[2], 'recent', table.concat(kept))
return 'closed'
