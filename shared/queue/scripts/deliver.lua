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

local call, sub, match, find = redis.call, string.sub, string.match, string.find
local base = sub(KEYS[1], 1, -5)
local jobs, state = KEYS[1], base .. 'state'
local blocked, gone = base .. 'blocked', base .. 'gone'
local wake, due = base .. 'wake', base .. 'due'
-- include: ends
-- include: states
-- include: forget
-- include: cancel_waiting
local changed = 0

-- include: check_keys
check_keys()
local token_there = call('LLEN', wake)
local watched = tonumber(call('HGET', base .. 'meta', 'watched') or 0) > now

local notes = ''
local function note(id, letter)
    if watched then
        notes = notes .. id .. ' ' .. letter .. ' 0\n'
    end
end

-- All that it waited for is there. A delay counts from now.
local function go_on(entry, id, record)
    local options = options_of(record)
    local delay, at = tonumber(options.d or nil), tonumber(options.a or nil)
    changed = changed + 1
    call('ZREM', blocked, entry)
    if delay or (at and at > now) then
        call('ZADD', due, string.format('%d', delay and now + delay or at),
             entry)
        ends_woke = true -- the worker's timer may be for a later time
        note(id, 'N+')
    else
        make_ready(entry, options)
        note(id, 'N')
    end
end

-- It never will run: a parent did not succeed.
local function cancel(entry, id, record, parent)
    changed = changed + 1
    withdraw(entry)
    stops_waiting(record, call('HGET', state, id))
    cancel_waiting(id, record, options_of(record),
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

local function deliver(id, from, code, result)
    local flow = match(id, '^(.-):?$')
    local key = base .. 'flow:' .. flow
    if call('EXISTS', key) == 1 then
        return count(key, from, code, flow ~= id)
    end
    local record = call('HGET', jobs, id)
    if not record then
        return keep_for_later(id, from, code, result)
    end
    local entry = sub(record, 2, 2) .. id
    if not call('ZSCORE', blocked, entry) then
        return -- it has gone on, or has ended
    end
    local inputs, stop_key = base .. 'in:' .. id, base .. 'stop:' .. id
    local count, policy = match(options_of(record).n or '', '^(%d+),([sg])')
    if code ~= '' then
        call('HSETNX', inputs, from, code .. result)
    end
    call('PERSIST', inputs)
    local stop = code ~= '' and code ~= 'S' and from or call('GET', stop_key)
    if policy == 's' and stop then
        call('DEL', stop_key)
        cancel(entry, id, record, stop)
    elseif call('HLEN', inputs) >= tonumber(count or 0) then
        call('DEL', stop_key)
        go_on(entry, id, record)
    end
end

for a = 1, #ARGV, 4 do
    deliver(ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
end
if ends_woke and token_there == 0 then
    call('RPUSH', wake, '1')
end
if notes ~= '' then
    call('XADD', base .. 'events', 'MAXLEN', '~', 1000, '*', 'e', notes)
end
return changed
