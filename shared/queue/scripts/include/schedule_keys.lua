-- schedule_keys: the keys of a script that stores a schedule's jobs, looked at
-- before the first write, and what such a script counts. Needs need and clock.
local schedules, fires, fired = KEYS[1], KEYS[2], KEYS[3]
local jobs, state, gone, stats = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local wake, meta = KEYS[8], KEYS[9]
local call, sub, match = need, string.sub, string.match
local base = sub(jobs, 1, -5)

for _, key in ipairs({schedules, fired, jobs, state, stats, meta}) do
    call('HLEN', key)
end
call('ZCARD', fires)
call('ZCARD', gone)
call('HLEN', base .. 'unique')
call('ZCARD', base .. 'unlocks')
for k = 10, 19 do
    call('LLEN', KEYS[k])
end
call('XLEN', base .. 'outbox')
call('XLEN', base .. 'events')
local token = call('LLEN', wake)

local stored = 0 -- jobs
local waiting, outbox = false, false -- is there something for a worker, for it?

-- The lines of a schedule's history, and one more.
local HISTORY_MAX = 20
local function remember(lines, nominal, what, word)
    local _, n = string.gsub(lines, '\n', '')
    if n >= HISTORY_MAX then
        lines = match(lines, '^[^\n]*\n(.*)$')
    end
    return lines .. nominal .. ' ' .. now_text .. ' ' .. what .. ' ' .. word ..
        '\n'
end

-- What follows from all that was stored; the flags of the reply.
local function settle()
    local flags = outbox and 2 or 0
    if waiting and token == 0 then
        call('RPUSH', wake, '1')
    end
    if stored > 0 and call('HINCRBY', stats, 'enqueued', stored) == stored then
        flags = flags + 1
    end
    return flags
end
