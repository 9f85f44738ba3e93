-- A process tells that it is there.
--
-- KEYS: the namespace
-- ARGV: id generation nonce run_id ttl, then pairs of a provider that is put aside and for how long
-- -> texts: 0 epoch generation members now learning, then pairs of a provider and for how long
--    1: a process of that id may live; it is claimed, and asked for again in half a second
--    2: it lives, and contests the claim
--    3: another process has taken the id over
--
-- A claim that was made for CLAIM_MS, each time within SILENCE_MS of the last, and was not
-- contested meanwhile, succeeds: whoever lives says hello each second.

local CLAIM_MS = 2500

local me, generation, nonce, run, ttl =
    ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local now = clock()
local head = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'm:' .. me)
local epoch = tonumber(head[1] or '0')
-- A server that has restarted, or another one, may have older data, and nothing else tells.
if not head[1] or head[2] ~= run then
    epoch = renew(epoch, now)
    redis.call('HSET', KEYS[1], 'run', run)
end
local left = learning(now)

local known = split(head[3])
local member = {
    generation = tonumber(known[1] or '0'), till = tonumber(known[2] or '0'),
    nonce = known[3], claimant = known[4] or '-', first = tonumber(known[5] or '0'),
    last = tonumber(known[6] or '0'), contested = known[7] or '0',
}

local function keep()
    redis.call('HSET', KEYS[1], 'm:' .. me, table.concat({
        text(member.generation), text(member.till), member.nonce, member.claimant,
        text(member.first), text(member.last), member.contested,
    }, ' '))
end

if generation == 0 and member.nonce == nonce then
    -- It was welcomed, and did not hear of it.
    generation = member.generation
end
local is_claimed = member.claimant ~= '-' and now - member.last <= SILENCE_MS
if generation > 0 then
    if member.generation > generation then
        return {'3'}
    end
    if is_claimed then
        member.contested = '1'
    else
        member.claimant, member.contested = '-', '0'
    end
    member.generation, member.nonce = generation, nonce
else
    if member.till > now then
        if is_claimed and member.claimant ~= nonce then
            return {'1'}
        end
        if not is_claimed then
            member.claimant, member.first, member.contested = nonce, now, '0'
        end
        member.last = now
        keep()
        if member.contested == '1' then
            return {'2'}
        end
        if now - member.first < CLAIM_MS then
            return {'1'}
        end
    end
    -- By the clock, too: a generation is not given twice, even if data is lost.
    generation = math.max(member.generation + 1, now)
    member.generation, member.nonce, member.claimant, member.contested = generation, nonce, '-', '0'
end
member.till = now + ttl
keep()

for place = 6, #ARGV, 2 do
    local name = 'p:' .. ARGV[place]
    local until_, before = now + tonumber(ARGV[place + 1]), redis.call('HGET', KEYS[1], name)
    if until_ > tonumber(before or '0') then
        redis.call('HSET', KEYS[1], name, text(until_))
    end
end
local members, aside = 0, {}
local all = redis.call('HGETALL', KEYS[1])
for place = 1, #all, 2 do
    local kind, name = string.sub(all[place], 1, 2), string.sub(all[place], 3)
    if kind == 'm:' then
        local till = tonumber(split(all[place + 1])[2])
        if till > now then
            members = members + 1
        elseif till + ttl <= now then
            redis.call('HDEL', KEYS[1], all[place])
        end
    elseif kind == 'p:' then
        local span = tonumber(all[place + 1]) - now
        if span > 0 then
            aside[#aside + 1] = name
            aside[#aside + 1] = text(span)
        else
            redis.call('HDEL', KEYS[1], all[place])
        end
    end
end
local answer = {'0', text(epoch), text(generation), text(members), text(now), text(left)}
for _, part in ipairs(aside) do
    answer[#answer + 1] = part
end
return answer
