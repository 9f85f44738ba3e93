-- Says how a namespace stands; it changes nothing.
--
-- KEYS: the namespace
-- -> texts: epoch (empty: nobody was ever there) now learning, then id, generation and the
--    milliseconds until it counts as dead (0: it does) of each member

local now = clock()
local head = redis.call('HMGET', KEYS[1], 'epoch', 'learn')
local left = head[2] and math.max(tonumber(head[2]) + LEARNING_MS - now, 0) or 0
local answer = {head[1] or '', text(now), text(left)}
local all = redis.call('HGETALL', KEYS[1])
for place = 1, #all, 2 do
    if string.sub(all[place], 1, 2) == 'm:' then
        local member = split(all[place + 1])
        answer[#answer + 1] = string.sub(all[place], 3)
        answer[#answer + 1] = member[1]
        answer[#answer + 1] = text(math.max(tonumber(member[2]) - now, 0))
    end
end
return answer
