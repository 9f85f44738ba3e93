-- A process says what it holds of a quota, and asks for more.
--
-- KEYS: the namespace, the quota
-- ARGV: id generation epoch number answered fresh keep need unit ahead spent known limit
--       kind (0 window, 1 in flight, 2 period) window from to ttl kept
--       short (0 no, 1 wanted, 2 held)
-- -> numbers: 0 number now learning keep grant sum fair hungry spent lost short
--    1: a later one was taken in before   2: another epoch, hello first   3: no member, hello first
--
-- The quota is a hash:
--   i:ID    what a process holds: generation number charged spent till hungry kept inherited
--   ghost   amount until: what somebody holds who has not told so since data was lost
--   base    charged spent lost: what those held in the period who do not come back
--   known   sum epoch until: the largest sum that was known when data was lost, and until when those
--           who held it may use it
--   short   id till: who may send last requests
--
-- What is charged to a process is never less than what it may use, so the sum of all use is never
-- more than the limit.

local HUNGRY_MS = 2000
-- Processes whose ids are not kept are folded into `base` when they were silent for that many ttl
-- and are no members any more: members may have nothing to say of a quota for long.
local FOLD_TTLS = 10
local WINDOW, IN_FLIGHT, PERIOD = 0, 1, 2

local me, generation, epoch = ARGV[1], ARGV[2], ARGV[3]
local number, answered, is_fresh = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local keep, need, unit = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local ahead, spent, known = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local limit, kind, window = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local from, to, ttl = tonumber(ARGV[16]), tonumber(ARGV[17]), tonumber(ARGV[18])
local is_kept, short = ARGV[19], ARGV[20]
local now = clock()

local head = redis.call('HMGET', KEYS[1], 'epoch', 'm:' .. me)
if head[1] ~= epoch then
    return {2}
end
if split(head[2])[1] ~= generation then
    return {3}
end
local left = learning(now)

local mine
local others, dead, ghost, ghost_until = {}, 0, 0, 0
local base, base_spent, base_lost, is_folded = 0, 0, 0, false
local held, spent_by_all, lost, living = 0, spent, 0, 1
local max_known, known_until, holder, holder_till = 0, 0, nil, 0
local all = redis.call('HGETALL', KEYS[2])
local gone = {}

local function lives(id)
    local till = split(redis.call('HGET', KEYS[1], 'm:' .. id))[2]
    return till and tonumber(till) > now
end

for place = 1, #all, 2 do
    local name, parts = all[place], split(all[place + 1])
    if name == 'ghost' then
        ghost, ghost_until = tonumber(parts[1]), tonumber(parts[2])
        if ghost_until <= now then
            ghost = 0
            gone[#gone + 1] = name
        end
    elseif name == 'base' then
        base = base + tonumber(parts[1])
        base_spent, base_lost = base_spent + tonumber(parts[2]), base_lost + tonumber(parts[3])
    elseif name == 'known' then
        if parts[2] == epoch then
            max_known, known_until = tonumber(parts[1]), tonumber(parts[3])
        else
            gone[#gone + 1] = name
        end
    elseif name == 'short' then
        holder, holder_till = parts[1], tonumber(parts[2])
    else
        local one = {
            generation = parts[1], number = tonumber(parts[2]), charged = tonumber(parts[3]),
            spent = tonumber(parts[4]), till = tonumber(parts[5]), hungry = tonumber(parts[6]),
            kept = parts[7], inherited = tonumber(parts[8]),
        }
        local is_over = kind ~= PERIOD and one.till + window <= now
        if name == 'i:' .. me then
            -- Its own record is of use as long as it is there, whatever its age.
            mine = one
        elseif is_over then
            gone[#gone + 1] = name
        elseif kind == PERIOD and one.kept == '0' and ttl > 0
            and one.till + FOLD_TTLS * ttl <= now and not lives(string.sub(name, 3)) then
            base, base_spent = base + one.charged, base_spent + one.spent
            base_lost, is_folded = base_lost + math.max(one.charged - one.spent, 0), true
            gone[#gone + 1] = name
        else
            held = held + one.charged
            spent_by_all = spent_by_all + one.spent
            if one.till <= now then
                dead = dead + one.charged
                lost = lost + math.max(one.charged - one.spent, 0)
            else
                living = living + 1
                others[#others + 1] = one
            end
        end
    end
end

if answered > 0 and not (mine and mine.generation == generation and mine.number >= answered) then
    renew(tonumber(epoch), now)
    return {2}
end
if mine and mine.generation == generation and mine.number >= number then
    return {1}
end
for _, name in ipairs(gone) do
    redis.call('HDEL', KEYS[2], name)
end
spent_by_all, lost = spent_by_all + base_spent, lost + base_lost
-- What a former process of its id held counts as used now.
local inherited = 0
if is_fresh and mine and kind ~= IN_FLIGHT and (kind == PERIOD or mine.till + window > now) then
    inherited = mine.generation == generation and mine.inherited or mine.charged
    keep = math.max(keep, inherited)
end

if left > 0 then
    if known > max_known then
        redis.call('HSET', KEYS[2], 'known',
            table.concat({text(known), epoch, text(now + ttl + window)}, ' '))
    end
elseif max_known > 0 then
    -- All who live have told: what is missing, somebody holds who is cut off, or has died.
    local told = held + ghost + base + math.max(keep, mine and mine.charged or 0)
    if max_known > told then
        if kind == PERIOD then
            base = base + max_known - told
            base_lost, is_folded = base_lost + max_known - told, true
            lost = lost + max_known - told
        elseif known_until > now then
            ghost, ghost_until = ghost + max_known - told, math.max(ghost_until, known_until)
            redis.call('HSET', KEYS[2], 'ghost', text(ghost) .. ' ' .. text(ghost_until))
        end
    end
    redis.call('HDEL', KEYS[2], 'known')
end
if is_folded then
    redis.call('HSET', KEYS[2], 'base',
        table.concat({text(base), text(base_spent), text(base_lost)}, ' '))
end

-- An even part among those who lack some: what others are content with is shared again.
local hungry, content = 0, {}
for _, one in ipairs(others) do
    if now - one.hungry < HUNGRY_MS then
        hungry = hungry + 1
    else
        content[#content + 1] = one.charged
    end
end
local free = limit - ghost - base - held - keep
local fair, wanted = limit, 0
if hungry > 0 and kind ~= PERIOD then
    local rest, count = math.max(limit - ghost - dead, 0), 1 + hungry + #content
    table.sort(content)
    for _, charged in ipairs(content) do
        if charged * count >= rest then
            break
        end
        rest, count = rest - charged, count - 1
    end
    fair = math.floor(rest / count)
    for _, one in ipairs(others) do
        if now - one.hungry < HUNGRY_MS then
            wanted = wanted + math.max(fair - one.charged, 0)
        end
    end
end

local grant, may_be_short = 0, 0
local may_grant = left == 0 and now >= from and (to == 0 or now < to)
if may_grant then
    -- One whose smallest request is larger than an even part may have that much.
    local most = math.min(free, math.max(math.max(fair, unit) - keep, free - wanted))
    if need > 0 then
        grant = math.max(math.min(need, most), 0)
        if grant < unit then
            grant = 0
        end
    end
    if hungry == 0 and grant == need then
        grant = grant + math.max(math.min(ahead, math.floor((most - grant) / (2 * living))), 0)
    end
end
local is_vacant = not holder or holder == me or holder_till <= now
local is_due = short == '2' or (short == '1' and may_grant and free >= 0 and free < unit)
if is_vacant and is_due then
    may_be_short = 1
    if short == '1' then
        grant = free
    end
    redis.call('HSET', KEYS[2], 'short', me .. ' ' .. text(now + ttl))
elseif holder == me then
    redis.call('HDEL', KEYS[2], 'short')
end

local since = mine and mine.hungry or 0
if need > grant then
    since = now
end
redis.call('HSET', KEYS[2], 'i:' .. me, table.concat({
    generation, text(number), text(keep + grant), text(spent), text(now + ttl), text(since),
    is_kept, text(inherited),
}, ' '))
local expires = ttl + window + 600000
if kind == PERIOD then
    expires = to > 0 and to - now + 172800000 or 0
end
if expires > 0 and redis.call('PTTL', KEYS[2]) < expires then
    redis.call('PEXPIRE', KEYS[2], text(expires))
end
return {
    0, number, now, left, keep, grant, ghost + base + held + keep + grant, fair, hungry,
    spent_by_all, lost, may_be_short,
}
