-- Record how far an SMS has come, and tell everybody: all there is to know of a step, so that nobody has to read it,
-- or '{}' of a failure, which moves the countdown of other transactions too. An older send of the same transaction may not speak for the
-- newer one, nor an older try for the one under way; a later step is never taken back by an earlier one; and what a
-- provider accepted fails only by his own report.
-- KEYS  1 transaction  2 interval  3 trace (list)
-- ARGV  2 owner of the send  3 status  4 attempt  5 reason  6 provider  7 topic  8 '1' if only what was accepted in
--       this very attempt may move
-- Returns the ms since it was queued, or -1 if nothing changed
local RANK = {queued = 0, sending = 1, accepted = 2, failed = 3, delivered = 4}
local has = redis.call('HMGET', KEYS[1], 'owner', 'status', 'attempt', 'silent', 'queued_at')
if has[1] ~= ARGV[2] then return -1 end
if RANK[ARGV[3]] < RANK[has[2]] then return -1 end
if ARGV[3] == has[2] and (RANK[has[2]] > 1 or tonumber(ARGV[4]) <= tonumber(has[3])) then return -1 end
if ARGV[3] == 'failed' and has[2] == 'accepted' and ARGV[8] ~= '1' then return -1 end
if ARGV[8] == '1' and (has[2] ~= 'accepted' or has[3] ~= ARGV[4]) then return -1 end
redis.call('HSET', KEYS[1], 'status', ARGV[3], 'attempt', ARGV[4], 'reason', ARGV[5], 'provider', ARGV[6])
trace(KEYS[3], ARGV[3], ARGV[6] .. ' ' .. ARGV[5])
local since = math.max(0, now - (has[5] or now))
-- Of an SMS that may be for nobody nothing is told, not even by an interval that ends early.
if has[4] == '1' then return since end
-- A send that failed for good costs no wait; its place in the caps stays, so failures cannot be farmed.
if ARGV[3] == 'failed' and redis.call('HGET', KEYS[2], 'owner') == ARGV[2] then redis.call('DEL', KEYS[2]) end
local seq, news = redis.call('HINCRBY', KEYS[1], 'seq', 1), '{}'
if ARGV[3] ~= 'failed' then
  news = cjson.encode({step = {transaction = KEYS[1]:match(':tx:(.*)$'), seq = seq, now_ms = now, status = ARGV[3],
    attempt = tonumber(ARGV[4]), reason = ARGV[5]}})
end
redis.call('PUBLISH', ARGV[7], news)
return since
