-- What operators have set, without the blocks whose time is over.
-- KEYS  1 controls (hash; a block's value begins with the ms of its end)   Returns {now, name, value, …}
local answer, all = {now}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i]:match('^block|') and tonumber(all[i + 1]:match('^%d+')) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  else
    answer[#answer + 1] = all[i]
    answer[#answer + 1] = all[i + 1]
  end
end
return answer
