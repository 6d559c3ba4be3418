-- Stands before every step. Time is Redis TIME plus ARGV[1], an offset in ms that is 0 outside tests.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
-- Rules compare deadlines that are stored; a key's life only cleans up, so it has a margin.
local MARGIN = 60000
