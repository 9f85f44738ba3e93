-- An operator knows that a process is dead: what it holds is free at once.
--
-- KEYS: the namespace, and a quota; the namespace alone: the member itself
-- ARGV: id
-- -> 1 if there was something to forget
--
-- What it spent in a period stays spent; what it had leased beyond that is free.

local me = ARGV[1]
if not KEYS[2] then
    return redis.call('HDEL', KEYS[1], 'm:' .. me)
end
local one = split(redis.call('HGET', KEYS[2], 'i:' .. me))
if not one[1] then
    return 0
end
local base = split(redis.call('HGET', KEYS[2], 'base'))
local spent = tonumber(one[4])
if spent > 0 then
    redis.call('HSET', KEYS[2], 'base', table.concat({
        text(tonumber(base[1] or '0') + spent), text(tonumber(base[2] or '0') + spent),
        base[3] or '0',
    }, ' '))
end
redis.call('HDEL', KEYS[2], 'i:' .. me)
return 1
