#!lua flags=allow-oom
-- control: what an operator does to one job.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of all other keys
-- ARGV[1] verb, ARGV[2] id
-- ARGV[3] 1: only if the job is still as it was seen: ARGV[4] its priority and
--         state text, ARGV[5] when it is due, ARGV[6] its progress
-- ARGV[7..] what the verb takes:
--   cancel   grace ms, cause (JSON string)   waits: ends; runs: is told to
--            stop, and the cause, unless it is "cancelled", is kept until then
--   retry                                    ended without success, or waits
--                                            to run again: ready, all retries
--   promote                                  scheduled or retrying: ready now
--   release                                  quarantined: ready
--   edit     run at ms or '', priority or '' while it waits
--   delete                                   ended or waits: forgotten at once
--   expire                                   waits, and its time is over: ends,
--            before a worker has met it: whoever looks at it says so
--
-- Returns {'done', code} what was asked has happened; {'same', code} it was so
-- already; {'asked', code} it runs and its worker was told; {'state', code}
-- refused, since a job with that code cannot; {'changed', code} it is not as it
-- was seen; {'held', id} its unique key is another job's; {'expired', code} its
-- time is over, it would expire at once. code is how the job was before: R
-- running, N ready, N+ scheduled, W ready again, W+ retrying, B blocked, S C X
-- D Q. false: there is no such job; 'gone': it is past its retention.
--
-- Invariants: those of work.lua; what is refused changes nothing. An entry that
-- leaves the middle of a ready list stays there and is counted in `stale`, so
-- no step looks through a list. allow-oom: cancelling makes room.
-- include: need
local call, sub, match = need, string.sub, string.match
local find = string.find
local base = sub(KEYS[1], 1, -5)
local prefix, queue = match(base, '^(.*):{(.*)}:$')
local jobs, state = KEYS[1], base .. 'state'
local verb, id = ARGV[1], ARGV[2]
-- include: clock

local record = call('HGET', jobs, id)
if not record then
    return call('ZSCORE', base .. 'gone', id) and 'gone' or false
end
-- include: states
-- include: options
-- include: unique
-- include: ends
-- include: forget
-- include: place
-- include: cancel_waiting
-- include: events

-- ---- what it is ----
local digit = sub(record, 2, 2)
local entry = digit .. id
local options = options_of(record)
local text = call('HGET', state, id)
local code = text and sub(text, 1, 1) or 'N'
local place, since -- where it waits; when it is due, or since when blocked
if code == 'N' or code == 'W' then
    place, since = place_of(entry)
    code = place == 'blocked' and 'B' or since and code .. '+' or code
end
local due = code ~= 'B' and since
local runs = code == 'R' or code == 'r'
local known_as = runs and 'R' or code

if ARGV[3] == '1' and
    (ARGV[4] ~= digit .. (text or '') or ARGV[5] ~= (due or '') or
         ARGV[6] ~= (call('HGET', base .. 'progress', id) or '')) then
    return {'changed', known_as}
end

local s = text and parse(text)
if text and not s then
    return redis.error_reply('ERR the state of ' .. id .. ' is damaged')
end
s = s or never_ran()

-- include: check_keys
check_keys()
check_key_list(digit, options)
if verb == 'edit' and ARGV[8] ~= '' then
    check_key_list(ARGV[8], options)
end
local token_there = call('LLEN', base .. 'wake')

-- The member of done that it is in, by the time that it is forgotten at.
local function group_of()
    local ended = match(text, '^%a %S+ %d+ %d+ %d+ %d+ %S+ %d+ (%d+)')
    local at = ended and string.format('%d', ended + (options.k or 3600000))
    local groups = at and call('ZRANGEBYSCORE', base .. 'done', at, at) or {}
    for _, group in ipairs(groups) do
        if find(' ' .. group .. ' ', ' ' .. id .. ' ', 1, true) then
            return group, at
        end
    end
end
local group, group_at
if code == 'S' or code == 'C' or code == 'X' then
    group, group_at = group_of()
    if not group and (verb == 'retry' or verb == 'delete') then
        return {'state', known_as}
    end
end

-- ---- steps ----
local function leave()
    if place then
        withdraw(id, record, place)
    elseif code == 'D' then
        call('ZREM', base .. 'dead', id)
    elseif code == 'Q' then
        call('ZREM', base .. 'quarantined', id)
    elseif group then
        local pattern = ' ' .. string.gsub(id, '%-', '%%-') .. ' '
        local rest = string.gsub(' ' .. group .. ' ', pattern, ' ', 1)
        rest = match(rest, '^ (.-) ?$')
        call('ZREM', base .. 'done', group)
        if rest ~= '' then
            call('ZADD', base .. 'done', group_at, rest)
        end
        call('HINCRBY', base .. 'stats', 'kept', -1)
    end
end

local function note(letter)
    local watched = tonumber(call('HGET', base .. 'meta', 'watched') or 0)
    if watched > now then
        tell_listeners(id .. ' ' .. letter .. ' ' .. s.attempt .. '\n')
    end
end

local function finished(outcome)
    if ends_woke and token_there == 0 then
        call('RPUSH', base .. 'wake', '1')
    end
    return {outcome, known_as}
end

-- ---- the verbs ----
if verb == 'cancel' then
    if code == 'C' then
        return {'same', 'C'}
    elseif runs then
        local asked = call('HGET', base .. 'cancels', id)
        if not asked then
            local why = ARGV[8] ~= '"cancelled"' and ' ' .. ARGV[8] or ''
            call('HSET', base .. 'cancels', id,
                 now_text .. ' ' .. ARGV[7] .. why)
        end
        if code == 'R' then
            call('HSET', state, id, 'r' .. sub(text, 2))
        end
        call('PUBLISH', prefix .. ':worker:' .. s.worker,
             'cancel ' .. queue .. '.' .. id .. ' ' .. s.token .. ' ' ..
                 ARGV[7])
        return {asked and 'same' or 'asked', 'R'}
    elseif not place and code ~= 'Q' then
        return {'state', known_as}
    end
    leave()
    stops_waiting(record, text)
    cancel_waiting(id, record, options, ARGV[8])
    note('C')
    return finished('done')
end

if verb == 'expire' then
    if not place or now < tonumber(options.e or math.huge) then
        return {'state', known_as}
    end
    leave()
    stops_waiting(record, text)
    end_waiting(id, record, options, 'X', '')
    note('X')
    return finished('done')
end

if verb == 'delete' then
    if runs then
        return {'state', 'R'}
    end
    leave()
    if place or code == 'Q' then -- its children must not wait for ever
        stops_waiting(record, text)
        job_ended(id, 'C', record, options, text or '', '', '"deleted"')
    end
    release_key(id, options.u)
    tell_waiters(id)
    note('-')
    forget({id})
    return finished('done')
end

if verb == 'edit' then
    if not place or (code == 'B' and ARGV[7] ~= '') then
        return {'state', known_as}
    end
    local new = (ARGV[8] ~= '' and ARGV[8] or digit) .. id
    local at = ARGV[7] ~= '' and ARGV[7] or due
    local ready_now = code ~= 'B' and (not at or tonumber(at) <= now)
    if new == entry and (at == due or (not due and ready_now)) then
        return {'same', known_as}
    end
    leave()
    if new ~= entry then
        call('HSET', jobs, id, '1' .. sub(new, 1, 1) .. sub(record, 3))
    end
    if code == 'B' then
        call('ZADD', base .. 'blocked', since, new)
        note('B')
    elseif ready_now then
        make_ready(new, options)
        note('N')
    else
        call('ZADD', base .. (text and 'retrying' or 'due'), at, new)
        ends_woke = true -- a sleeping worker's timer may be for a later time
        note('N+')
    end
    return finished('done')
end

local allowed = {
    retry = {['D'] = true, ['C'] = true, ['X'] = true, ['W+'] = true},
    promote = {['N+'] = true, ['W+'] = true},
    release = {['Q'] = true},
}
if not allowed[verb] then
    return redis.error_reply('ERR control knows no verb ' .. verb)
end
if not allowed[verb][code] then
    local already = verb ~= 'release' and (code == 'N' or code == 'W')
    return {already and 'same' or 'state', known_as}
end
local expires = tonumber(options.e)
if expires and expires <= now then
    return {'expired', known_as}
end
local ended = code == 'D' or code == 'C' or code == 'X' or code == 'Q'
if ended then
    local _, _, key = unique_of(options)
    local holder = key and holder_of(key)
    if holder and holder ~= id then
        return {'held', holder}
    end
end
leave()
if ended then
    lock(id, options)
    call('HDEL', base .. 'progress', id)
end
if verb ~= 'promote' then
    s.retries, s.crashes, s.lost = 0, 0, 0
end
if text then
    call('HSET', state, id, format('W', s))
end
make_ready(entry, options)
note('N')
return finished('done')
