#!lua flags=allow-oom
-- control: what an operator does to one job.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of all other keys
-- ARGV[1] verb, ARGV[2] id
-- ARGV[3] 1: only if the job is still as it was seen: ARGV[4] its priority and
--         state text, ARGV[5] when it is due, ARGV[6] its progress
-- ARGV[7..] what the verb takes:
--   cancel   grace ms, cause (JSON string)   waits: ends; runs: is asked to stop
--   retry                                    ended without success, or waits for
--                                            its retry: ready, with all retries
--   promote                                  scheduled or retrying: ready now
--   release                                  quarantined: ready
--   edit     run at ms or '', priority or '' while it waits
--   delete                                   ended or waits: forgotten at once
--
-- Returns {'done', code} what was asked has happened; {'same', code} it was so
-- already; {'asked', code} it runs and its worker was told; {'state', code}
-- refused, since a job with that code cannot; {'changed', code} it is not as it
-- was seen; {'held', id} its unique key is another job's; {'expired', code} its
-- time is over, it would expire at once. code is how the job was before: R running,
-- N ready, N+ scheduled, W ready again, W+ retrying, B blocked, S C X D Q. false:
-- there is no such job; 'gone': it is past its retention.
--
-- Invariants: those of work.lua; what is refused changes nothing. An entry that
-- leaves the middle of a ready list stays there and is counted in `stale`, so no
-- step looks through a list. allow-oom: cancelling makes room.
local HISTORY_MAX = 20

local call, sub, byte, match = redis.call, string.sub, string.byte, string.match
local base = sub(KEYS[1], 1, -5)
local prefix, queue = match(base, '^(.*):{(.*)}:$')
local jobs, state = KEYS[1], base .. 'state'
local verb, id = ARGV[1], ARGV[2]
-- include: clock
-- include: let_go

local record = call('HGET', jobs, id)
if not record then
    return call('ZSCORE', base .. 'gone', id) and 'gone' or false
end

-- ---- what it is ----
local head = match(record, '^[^\n]*')
local digit = sub(record, 2, 2)
local entry = digit .. id
local text = call('HGET', state, id)
local code = text and sub(text, 1, 1) or 'N'
local due_in, due -- the set that it is due in, and when
local blocked
if code == 'N' or code == 'W' then
    for _, set in ipairs({'due', 'retrying'}) do
        local at = call('ZSCORE', base .. set, entry)
        if at then
            due_in, due, code = set, at, code .. '+'
        end
    end
    blocked = not due and call('ZSCORE', base .. 'blocked', entry)
    code = blocked and 'B' or code
end
local runs = code == 'R' or code == 'r'
local known_as = runs and 'R' or code
local waits = not runs and (code == 'B' or byte(code) == 78 or byte(code) == 87)

if ARGV[3] == '1' and
    (ARGV[4] ~= digit .. (text or '') or ARGV[5] ~= (due or '') or
         ARGV[6] ~= (call('HGET', base .. 'progress', id) or '')) then
    return {'changed', known_as}
end

local function option(letter)
    return option_of(head, letter)
end

-- ---- the state text ----
local s = {token = '-', attempt = 0, retries = 0, crashes = 0, lost = 0,
           worker = '-', started = 0, history = ''}
if text then
    local first = match(text, '^[^\n]*')
    local token, attempt, retries, crashes, lost, worker, started =
        match(first, '^%a (%S+) (%d+) (%d+) (%d+) (%d+) (%S+) (%d+)')
    if not token then
        return redis.error_reply('ERR the state of ' .. id .. ' is damaged')
    end
    s = {token = token, attempt = attempt, retries = retries, crashes = crashes,
         lost = lost, worker = worker, started = started,
         history = sub(text, #first + 2)}
end

local function put(letter, ended)
    call('HSET', state, id, table.concat({
        letter, s.token, s.attempt, s.retries, s.crashes, s.lost, s.worker,
        s.started}, ' ') .. (ended and ' ' .. now_text or '') .. '\n' .. s.history)
end

local function remember(outcome, message)
    local _, lines = string.gsub(s.history, '\n', '')
    if lines >= HISTORY_MAX then
        s.history = sub(s.history, #match(s.history, '^[^\n]*') + 2)
    end
    s.history = s.history .. s.attempt .. ' ' .. outcome .. ' ' .. now_text ..
        ' ' .. now_text .. ' ' .. s.worker .. ' ' .. message .. '\n'
end

-- ---- reads of every key that may be written: a wrong type ends it here ----
for _, name in ipairs({'results', 'progress', 'stats', 'waits', 'unique',
                       'cancels', 'logged', 'children', 'stale', 'turns'}) do
    call('HLEN', base .. name)
end
for _, name in ipairs({'due', 'retrying', 'blocked', 'leased', 'dead', 'done',
                       'gone', 'quarantined', 'unlocks'}) do
    call('ZCARD', base .. name)
end
local token_there = call('LLEN', base .. 'wake')
call('LLEN', base .. 'ready:' .. digit)

-- The member of done that it is in, by the time that it is forgotten at.
local function group_of()
    local ended = match(text, '^%a %S+ %d+ %d+ %d+ %d+ %S+ %d+ (%d+)')
    local at = ended and
        string.format('%d', ended + tonumber(option('k') or '3600000'))
    for _, group in ipairs(at and call('ZRANGEBYSCORE', base .. 'done', at, at) or
                           {}) do
        if string.find(' ' .. group .. ' ', ' ' .. id .. ' ', 1, true) then
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
    if due_in then
        call('ZREM', base .. due_in, entry)
    elseif code == 'B' then
        call('ZREM', base .. 'blocked', entry)
    elseif waits then
        call('HINCRBY', base .. 'stale', entry, 1)
    elseif code == 'D' then
        call('ZREM', base .. 'dead', id)
    elseif code == 'Q' then
        call('ZREM', base .. 'quarantined', id)
    elseif group then
        local rest = string.gsub(' ' .. group .. ' ', ' ' ..
                                     string.gsub(id, '%-', '%%-') .. ' ', ' ', 1)
        rest = match(rest, '^ (.-) ?$')
        call('ZREM', base .. 'done', group)
        if rest ~= '' then
            call('ZADD', base .. 'done', group_at, rest)
        end
        call('HINCRBY', base .. 'stats', 'kept', -1)
    end
end

local hold, ttl, unique = match(option('u') or '', '^(%a),(%d+),(.*)$')
-- Another job that has its key, or nil.
local function rival()
    local holder = unique and call('HGET', base .. 'unique', unique)
    if not holder or holder == id then
        return nil
    end
    local ends = tonumber(call('ZSCORE', base .. 'unlocks', unique) or nil)
    if ends then
        return ends > now and holder or nil
    end
    return call('HEXISTS', jobs, holder) == 1 and holder or nil
end
local function lock()
    if not unique then
        return
    end
    call('HSET', base .. 'unique', unique, id)
    call('ZREM', base .. 'unlocks', unique)
    if hold ~= 'e' and ttl ~= '0' then
        call('ZADD', base .. 'unlocks', now + ttl, unique)
    end
end

local function wake()
    if token_there == 0 then
        call('RPUSH', base .. 'wake', '1')
        token_there = 1
    end
end

-- To the end of its priority's list, or of its limit key's.
local function make_ready(new)
    local limit = match(option('l') or '', '^%d+,%d+,%d+,(.*)$')
    local d = sub(new, 1, 1)
    if limit then
        call('RPUSH', base .. 'key:' .. d .. limit, new)
        if not call('HGET', base .. 'turns', d .. limit) then
            call('HSET', base .. 'turns', d .. limit, 'r')
            call('RPUSH', base .. 'ready:' .. d, d .. '=' .. limit)
        end
    else
        call('RPUSH', base .. 'ready:' .. d, new)
    end
    wake()
end

local function note(letter)
    local watched = tonumber(call('HGET', base .. 'meta', 'watched') or 0)
    if watched > now then
        call('XADD', base .. 'events', 'MAXLEN', '~', 1000, '*', 'e',
             id .. ' ' .. letter .. ' ' .. s.attempt .. '\n')
    end
end

-- ---- the verbs ----
if verb == 'cancel' then
    if code == 'C' then
        return {'same', 'C'}
    elseif runs then
        local asked = call('HGET', base .. 'cancels', id)
        if not asked then
            call('HSET', base .. 'cancels', id, now_text .. ' ' .. ARGV[7])
        end
        if code == 'R' then
            call('HSET', state, id, 'r' .. sub(text, 2))
        end
        call('PUBLISH', prefix .. ':worker:' .. s.worker,
             'cancel ' .. queue .. '.' .. id .. ' ' .. s.token .. ' ' .. ARGV[7])
        return {asked and 'same' or 'asked', 'R'}
    elseif not waits and code ~= 'Q' then
        return {'state', known_as}
    end
    leave()
    remember('x', ARGV[8])
    put('C', true)
    local keep = option('k') or '3600000'
    if keep == '0' then
        forget({id})
    else
        call('ZADD', base .. 'done', string.format('%d', now + keep), id)
        call('HINCRBY', base .. 'stats', 'kept', 1)
    end
    call('HINCRBY', base .. 'stats', 'cancelled', 1)
    release_key(id, head)
    if hold == 'e' then
        call('HSET', base .. 'unique', unique, id)
        call('ZADD', base .. 'unlocks', now + ttl, unique)
    end
    tell_waiters(id)
    tell_children(id, head, 'C')
    note('C')
    return {'done', known_as}
end

if verb == 'delete' then
    if runs then
        return {'state', 'R'}
    end
    leave()
    forget({id})
    release_key(id, head)
    tell_waiters(id)
    if waits or code == 'Q' then
        tell_children(id, head, 'C')
    end
    note('-')
    return {'done', known_as}
end

if verb == 'edit' then
    if not waits or (code == 'B' and ARGV[7] ~= '') then
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
        call('ZADD', base .. 'blocked', blocked, new)
    elseif ready_now then
        make_ready(new)
    else
        call('ZADD', base .. (text and 'retrying' or 'due'), at, new)
        wake() -- the worker's timer may be for a later time
    end
    note(ready_now and 'N' or 'N+')
    return {'done', known_as}
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
local expires = tonumber(option('e'))
if expires and expires <= now then
    return {'expired', known_as}
end
local ended = code == 'D' or code == 'C' or code == 'X' or code == 'Q'
if ended then
    local holder = rival()
    if holder then
        return {'held', holder}
    end
end
leave()
if ended then
    lock()
    call('HDEL', base .. 'progress', id)
end
if verb ~= 'promote' then
    s.retries, s.crashes, s.lost = 0, 0, 0
end
if text then
    put('W')
end
make_ready(entry)
note('N')
return {'done', known_as}
