-- work_keys: reads of every key that may be written, so that a wrong type ends
-- the script before the first write, and what work needs to know of them. A
-- part of work.lua, whose locals it uses.
--
-- Most queues have few of these keys, so one command says how many there are;
-- then each is asked for, the likely ones first, until so many were found.
local function measure(there, command, first, last)
    for k = first, there > 0 and (last or first) or 0 do
        local length = need(command, KEYS[k])
        if length > 0 then
            lengths[k], there = length, there - 1
            if there == 0 then
                break
            end
        end
    end
    return there
end
local ready_lists = call('EXISTS', unpack(KEYS, 15, 24))
local there = measure(ready_lists, 'LLEN', 19)
there = measure(there, 'LLEN', 15, 18)
measure(there, 'LLEN', 20, 24)
there = call('EXISTS', results, progress, due, dead, quarantined, waits,
                   stale_set, logged, unpack(KEYS, 25, 34))
if there > 0 then
    there = measure(there, 'HLEN', 3, 4)
    there = measure(there, 'ZCARD', 5)
    there = measure(there, 'ZCARD', 25)
    there = measure(there, 'ZCARD', 7)
    there = measure(there, 'ZCARD', 10)
    there = measure(there, 'HLEN', 13)
    -- What only jobs with options and operators make.
    there = measure(there, 'HLEN', 26)
    there = measure(there, 'ZCARD', 27)
    there = measure(there, 'HLEN', 28, 30)
    there = measure(there, 'ZCARD', 31)
    there = measure(there, 'HLEN', 32)
    there = measure(there, 'HLEN', 34)
    there = measure(there, 'HLEN', 36)
    there = measure(there, 'HLEN', 38)
    there = measure(there, 'XLEN', 33) -- an empty one is there, too
end
local jobs_len = need('HLEN', jobs)
need('ZCARD', gone)
if #ARGV == 6 then
    need('HLEN', state) -- or it is read for the finishes
end
-- When the first of a set is due, or nil.
local function head_of(set)
    return tonumber(need('ZRANGE', set, '0', '0', 'WITHSCORES')[2])
end
local function sooner(a, b)
    return a and b and math.min(a, b) or a or b
end
local due_head = lengths[5] and head_of(due)
local retrying_head = lengths[25] and head_of(retrying)
local leased_head, done_head = head_of(leased), head_of(done)
local due_before = sooner(sooner(due_head, retrying_head), leased_head)
local results_len, progress_len = lengths[3] or 0, lengths[4] or 0
local token_there = need('LLEN', wake)
local waited = lengths[13]
local sampled = tonumber(match(need('LINDEX', samples, '0') or '0', '^%d+'))
local totals = need('HMGET', stats, 'kept', 'keyed', 'bytes', 'succeeded')
local done_len = tonumber(totals[1]) or 0
local keyed = totals[2] -- jobs with a limit key were enqueued
local bytes_waiting = tonumber(totals[3])
local set = need('HMGET', meta, 'paused', 'done_max', 'dead_max', 'dead_ms',
                 'concurrency', 'rate', 'watched', 'seen', 'step')
local paused = set[1] == '1'
local done_max = tonumber(set[2]) or 100000
local dead_max = tonumber(set[3]) or 10000
local dead_ms = tonumber(set[4]) or 2592000000 -- 30 days
local concurrency = tonumber(set[5])
local watched = (tonumber(set[7]) or 0) > now
if watched then
    need('XLEN', events)
end
