#!lua flags=allow-oom
-- deliver: tell jobs and flows of this queue that others have ended.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of all other keys
-- ARGV  per message: local id of a job or a flow (with ":" behind it when no
--       other job follows the one that ended), full id of who ended, its code
--       (S succeeded, C cancelled, X expired, D dead), its result (JSON or
--       empty). With an empty code nobody ended: look whether the job, stored a
--       moment ago, still has something to wait for.
--
-- Returns how many jobs went on or were cancelled.
--
-- A job waits in `blocked` until `in:<local id>` (HASH, full id -> code and
-- result) has as many members as its record's n says; then it is ready, or due
-- when it has a delay or a time. With policy s the first parent that did not
-- succeed cancels it. What comes for a job that is not there yet is kept for a
-- day, a failure also as `stop:<local id>`. A message that comes twice changes
-- nothing the second time. allow-oom, so that a full server can be drained.
-- include: clock
local KEEP_UNKNOWN = 86400000 -- ms

-- include: need
local call, sub, match, find = need, string.sub, string.match, string.find
local base = sub(KEYS[1], 1, -5)
local jobs, state = KEYS[1], base .. 'state'
local blocked, gone = base .. 'blocked', base .. 'gone'
local wake, due = base .. 'wake', base .. 'due'
-- include: options
-- include: unique
-- include: ends
-- include: states
-- include: forget
-- include: place
-- include: cancel_waiting
-- include: events
-- include: check_keys
local changed = 0

-- Who the messages are for, each looked at once, before the first write:
-- local id -> {flow = its key} or {record, options, entry, blocked}; all empty
-- when it is not there.
check_keys()
local receivers = {}
for a = 1, #ARGV, 4 do
    local id = match(ARGV[a], '^(.-):?$')
    if not receivers[id] then
        local to, flow = {}, base .. 'flow:' .. id
        receivers[id] = to
        if call('HLEN', flow) > 0 then
            to.flow = flow
        else
            call('HLEN', base .. 'in:' .. id)
            call('GET', base .. 'stop:' .. id)
            to.record = call('HGET', jobs, id)
        end
        if to.record then
            to.entry = sub(to.record, 2, 2) .. id
            to.options = options_of(to.record)
            to.blocked = call('ZSCORE', blocked, to.entry)
            check_key_list(sub(to.entry, 1, 1), to.options)
        end
    end
end
local token_there = call('LLEN', wake)
local watched = tonumber(call('HGET', base .. 'meta', 'watched') or 0) > now

local notes = ''
local function note(id, letter)
    if watched then
        notes = notes .. id .. ' ' .. letter .. ' 0\n'
    end
end

-- All that it waited for is there. A delay counts from now.
local function go_on(id, to)
    local delay = tonumber(to.options.d or nil)
    local at = tonumber(to.options.a or nil)
    changed = changed + 1
    call('ZREM', blocked, to.entry)
    if delay or (at and at > now) then
        call('ZADD', due, string.format('%d', delay and now + delay or at),
             to.entry)
        ends_woke = true -- the worker's timer may be for a later time
        note(id, 'N+')
    else
        make_ready(to.entry, to.options)
        note(id, 'N')
    end
end

-- It never will run: a parent did not succeed.
local function cancel(id, to, parent)
    changed = changed + 1
    withdraw(id, to.record, 'blocked')
    stops_waiting(to.record, call('HGET', state, id))
    cancel_waiting(id, to.record, to.options,
                   '"' .. parent .. ' did not succeed"')
    note(id, 'C')
end

-- A job of a flow has ended; @last: nothing in the flow follows it.
local function count(key, from, code, last)
    if code == '' or call('HSETNX', key, from, code) == 0 then
        return
    end
    if last and code ~= 'S' then
        call('HSET', key, 'failed', '1')
    end
    if call('HINCRBY', key, 'left', -1) == 0 then
        call('HSET', key, 'ended', now_text)
        call('PEXPIRE', key, call('HGET', key, 'keep'))
    end
end

-- For a job that is not there: it may be on its way.
local function keep_for_later(id, from, code, result)
    local inputs = base .. 'in:' .. id
    if code == '' or call('ZSCORE', gone, id) then
        return
    end
    call('HSETNX', inputs, from, code .. result)
    call('PEXPIRE', inputs, KEEP_UNKNOWN)
    if code ~= 'S' then
        call('SET', base .. 'stop:' .. id, from, 'PX', KEEP_UNKNOWN)
    end
end

local function deliver(word, from, code, result)
    local id = match(word, '^(.-):?$')
    local to = receivers[id]
    if to.flow then
        return count(to.flow, from, code, id ~= word)
    elseif not to.record then
        return keep_for_later(id, from, code, result)
    elseif not to.blocked then
        return -- it has gone on, or has ended
    end
    local inputs, stop_key = base .. 'in:' .. id, base .. 'stop:' .. id
    local parents, policy = match(to.options.n or '', '^(%d+),([sg])')
    if code ~= '' then
        call('HSETNX', inputs, from, code .. result)
    end
    call('PERSIST', inputs)
    local stop = code ~= '' and code ~= 'S' and from or call('GET', stop_key)
    local complete = call('HLEN', inputs) >= tonumber(parents or 0)
    local stops = policy == 's' and stop
    to.blocked = not (stops or complete)
    if not to.blocked then
        call('DEL', stop_key)
    end
    if stops then
        cancel(id, to, stop)
    elseif complete then
        go_on(id, to)
    end
end

for a = 1, #ARGV, 4 do
    deliver(ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
end
if ends_woke and token_there == 0 then
    call('RPUSH', wake, '1')
end
if notes ~= '' then
    tell_listeners(notes)
end
return changed
