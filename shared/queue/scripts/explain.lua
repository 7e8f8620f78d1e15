#!lua flags=no-writes
-- explain: all that decides when a job runs, at one moment.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of all other keys
-- ARGV[1] id
--
-- Returns {name, value, ...}, or 'gone', or false. Names that mean nothing for
-- the job are left out:
--   now, record, state (the first line of each)
--   due        when it is due; set: scheduled, retrying
--   position   jobs that are before it in lists of higher or its priority, as
--              far as LOOK_MAX entries of its own were looked through
--   far        1: it is behind those, so position is the least
--   paused, concurrency, running (leases of the queue)
--   rate_wait  ms until the queue's rate allows a start
--   key, key_concurrency, key_running, key_rate_wait, key_position
--   parents, arrived (how many of them have ended)
--   cancel     '<when ms> <grace ms>', perhaps with the cause behind it (JSON
--              string): it was asked to stop
local LOOK_MAX = 10000
-- include: need
local call, sub, match = need, string.sub, string.match
local base = sub(KEYS[1], 1, -5)
local id = ARGV[1]
-- include: clock
-- include: rate

local record = call('HGET', KEYS[1], id)
if not record then
    return call('ZSCORE', base .. 'gone', id) and 'gone' or false
end
local answer = {}
local function say(name, value)
    if value then
        answer[#answer + 1] = name
        answer[#answer + 1] = type(value) == 'number' and
            string.format('%d', value) or value
    end
end

local head = match(record, '^[^\n]*')
local digit = sub(record, 2, 2)
local entry = digit .. id
local text = call('HGET', base .. 'state', id)
local code = text and sub(text, 1, 1) or 'N'
say('now', now)
say('record', head)
if text then
    say('state', match(text, '^[^\n]*'))
end
if code == 'R' or code == 'r' then
    say('cancel', call('HGET', base .. 'cancels', id))
    return answer
elseif code ~= 'N' and code ~= 'W' then
    return answer
end
-- include: place
local place, since = place_of(entry)
if place == 'due' or place == 'retrying' then
    say('due', since)
    say('set', place == 'due' and 'scheduled' or 'retrying')
    return answer
end
local _, task = string.find(head, '^%S+ %S+ %S+')
if place == 'blocked' then
    say('parents', match(head, ' n(%d+)', task))
    say('arrived', call('HLEN', base .. 'in:' .. id))
    return answer
end

-- It is ready: what is before it, and what holds it up.
local function wait_of(key, n, period)
    n, period = tonumber(n), tonumber(period)
    if n and n > 0 then
        return rate_wait(rate_of(key, n, period))
    end
end
local set = call('HMGET', base .. 'meta', 'paused', 'concurrency', 'rate')
say('paused', set[1] == '1' and 1 or nil)
say('concurrency', set[2])
say('running', call('ZCARD', base .. 'leased'))
if set[3] then
    say('rate_wait', wait_of(' ', match(set[3], '^(%d+)/(%d+)')))
end

local before = 0
for d = 9, digit + 1, -1 do
    before = before + call('LLEN', base .. 'ready:' .. d)
end
local most, rate, period, key =
    match(head, ' l(%d+),(%d+),(%d+),(%S+)', task)
local own = base .. 'ready:' .. digit
if key then
    say('key', key)
    say('key_concurrency', most ~= '0' and most or nil)
    say('key_running', tonumber(call('HGET', base .. 'running', key) or 0))
    say('key_rate_wait', wait_of(key, rate, period))
    say('key_position', call('LPOS', base .. 'key:' .. digit .. key, entry,
                             'MAXLEN', LOOK_MAX) or
            call('LLEN', base .. 'key:' .. digit .. key))
    entry = digit .. '=' .. key
end
local at = call('LPOS', own, entry, 'MAXLEN', LOOK_MAX)
say('position', before + (at or math.min(call('LLEN', own), LOOK_MAX)))
say('far', not at and call('LLEN', own) > LOOK_MAX and 1 or nil)
return answer
