-- What the scripts of a namespace have in common.
--
-- KEYS[1] is the namespace, a hash:
--   epoch   names the store's data; another one: data was lost
--   run     the server's run_id, when the epoch began
--   learn   when everybody began to tell again what they hold; absent: they have
--   spoke   when somebody last did, while they do
--   m:ID    a member: generation till nonce, claimant first last contested
--   p:NAME  until when a provider is put aside
--
-- Moments are milliseconds of the server's clock. Numbers are doubles, and written with %.0f, since
-- Lua's own text of them loses digits.

local LEARNING_MS = 2000
local SILENCE_MS = 1500

local function text(number)
    return string.format('%.0f', number)
end

local function clock()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Begins another epoch: nothing is granted until everybody has told what they hold.
local function renew(epoch, now)
    epoch = math.max(epoch + 1, now)
    redis.call('HSET', KEYS[1], 'epoch', text(epoch), 'learn', text(now), 'spoke', text(now))
    return epoch
end

-- How long nothing is granted yet. Somebody speaks at this moment; if nobody has for a while, all
-- may have been cut off, and the time begins anew.
local function learning(now)
    local at = redis.call('HMGET', KEYS[1], 'learn', 'spoke')
    if not at[1] then
        return 0
    end
    local began, spoke = tonumber(at[1]), tonumber(at[2])
    if now - spoke > SILENCE_MS or now < began then
        began = now
        redis.call('HSET', KEYS[1], 'learn', text(now))
    elseif now - began >= LEARNING_MS then
        redis.call('HDEL', KEYS[1], 'learn', 'spoke')
        return 0
    end
    redis.call('HSET', KEYS[1], 'spoke', text(now))
    return began + LEARNING_MS - now
end

-- The parts of a record; nothing where there is none.
local function split(record)
    local parts = {}
    for part in string.gmatch(record or '', '%S+') do
        parts[#parts + 1] = part
    end
    return parts
end
