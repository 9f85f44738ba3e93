-- A process that stops leaves; what it keeps of quotas it has said before.
--
-- KEYS: the namespace
-- ARGV: id generation
-- -> 1 if it was a member

local member = split(redis.call('HGET', KEYS[1], 'm:' .. ARGV[1]))
if member[1] ~= ARGV[2] then
    return 0
end
return redis.call('HDEL', KEYS[1], 'm:' .. ARGV[1])
