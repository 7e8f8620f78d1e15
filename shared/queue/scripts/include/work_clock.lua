-- work_clock: what a step of this server's clock must not do. A part of
-- work.lua, whose locals it uses; once a second, and when there was one.
--
-- A clock behind `seen` was set back. What this queue timed by itself then goes
-- on as though nothing had happened since: leases, delays of retries, locks
-- that end by time and rates are moved back by as much. A clock ahead of what
-- the caller expects was set forward, or this server was frozen or away; nobody
-- could renew meanwhile, so leases are moved forward by as much. Times that
-- people gave or were told stay: `due`, schedules, `e`, retention.
--
-- Moving takes a part a call. `step` in meta says what is left of it: how far,
-- in which of the sets, and from where on: sets are gone through away from the
-- side to which they are moved, so nothing is met twice. The time of a retry
-- that somebody edited meanwhile is taken for its delay.
local STEP_MIN = 5000 -- a smaller one is waited for
local MOVE_MAX, TIES_MAX = 250, 1000
local lease = tonumber(ARGV[2])
local far, stage, edge
if moving then
    far, stage, edge = match(moving, '^(%-?%d+) (%d) (%S+)$')
    far, stage = tonumber(far), tonumber(stage)
end
if gap < -STEP_MIN then
    far, stage, edge = gap, 1, '-inf'
    call('DEL', samples)
    sampled = 0
elseif gap > 0 and leased_head then
    local expected = tonumber(match(ARGV[6], ' (%d+)$'))
    local ahead = expected and now - expected or 0
    -- Unless somebody dealt with it: then the queue was seen since.
    if ahead > math.min(STEP_MIN, lease / 3) and gap >= ahead - SEEN_EVERY then
        far, stage, edge = ahead, 1, '+inf'
    end
end
if (gap >= SEEN_EVERY or gap < -STEP_MIN) and jobs_len > 0 then
    call('HSET', meta, 'seen', now_text)
end

-- A lease may have been renewed since the step: then its holder lives, and what
-- it has is neither cut short nor made longer than the caller's.
local function moved_to(set, at)
    if set ~= leased then
        return at + far
    elseif far < 0 then
        return math.max(at + far, math.min(at, now + lease))
    end
    return math.max(at < now and at + far or at, now + lease)
end

-- Moves a part of a set of times; is that all of it?
local function move(set, most)
    local found = far < 0 and
        call('ZRANGEBYSCORE', set, edge, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
        or call('ZREVRANGEBYSCORE', set, edge, '-inf', 'WITHSCORES', 'LIMIT', 0,
                most)
    if #found == 0 then
        return true
    end
    local last, words = found[#found], {}
    for i = 1, #found, 2 do
        if found[i + 1] ~= last then
            words[#words + 1] =
                string.format('%d', moved_to(set, tonumber(found[i + 1])))
            words[#words + 1] = found[i]
        end
    end
    local at = string.format('%d', moved_to(set, tonumber(last)))
    for _, member in ipairs(call('ZRANGEBYSCORE', set, last, last, 'LIMIT', 0,
                                 TIES_MAX)) do
        words[#words + 1] = at
        words[#words + 1] = member
    end
    call('ZADD', set, 'XX', unpack(words))
    edge = '(' .. last
    return #found < 2 * most
end

-- Moves a part of the rates.
local function move_rates(most)
    local found = call('HSCAN', base .. 'rates', edge, 'COUNT', most)
    edge = found[1]
    for i = 1, #found[2], 2 do
        local at = tonumber(found[2][i + 1]) or 0
        if at > now then
            call('HSET', base .. 'rates', found[2][i],
                 string.format('%.3f', math.max(at + far, now)))
        end
    end
    return edge == '0'
end

-- Limit keys that their rate holds up have a turn now, which finds out for how
-- long.
local function move_markers(most)
    local found = call('HSCAN', base .. 'turns', edge, 'COUNT', most)
    edge = found[1]
    for i = 1, #found[2], 2 do
        if found[2][i + 1] == 'd' then
            local name = found[2][i]
            call('ZADD', due, 'XX', now_text,
                 sub(name, 1, 1) .. '=' .. sub(name, 2))
        end
    end
    return edge == '0'
end

local before = far
local most = MOVE_MAX
while far and most > 0 do
    local all
    if stage <= 3 then
        local set = stage == 1 and leased or stage == 2 and retrying or unlocks
        all = move(set, most)
    elseif stage == 4 then
        all = move_rates(most)
    else
        all = move_markers(most)
    end
    most = all and most - 10 or 0
    if all then
        stage, edge = stage + 1, stage < 3 and '-inf' or '0'
    end
    if stage > 5 or (far > 0 and stage > 1) then
        far = nil
    end
end
if far then
    call('HSET', meta, 'step',
         string.format('%d', far) .. ' ' .. stage .. ' ' .. edge)
    still_moving, may_reap = true, stage > 1
    -- A retry of this call will be met by what is left.
    if stage == 2 and edge ~= '-inf' then
        retries_from = tonumber(sub(edge, 2))
    end
    retries_far = stage <= 2 and far or 0
elseif before then
    call('HDEL', meta, 'step')
end
if before then
    due_head = lengths[5] and head_of(due)
    retrying_head = lengths[25] and head_of(retrying)
    leased_head = head_of(leased)
end
