-- Stands before every step. Time is Redis TIME plus ARGV[1], an offset in ms that is 0 outside tests.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
-- Rules compare deadlines that are stored; a key's life only cleans up, so it has a margin.
local MARGIN = 60000
-- Whether a provider that an operator has paused goes on is looked at again after so long.
local PAUSED = 5000
-- What operators see of a transaction for a day, also when it is over: "ms|what|about", never a number or a code.
local function trace(key, what, about)
  redis.call('RPUSH', key, now .. '|' .. what .. '|' .. (about or ''))
  redis.call('LTRIM', key, -60, -1)
  redis.call('PEXPIRE', key, 86400000)
end
