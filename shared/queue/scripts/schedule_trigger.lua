#!lua
-- schedule_trigger: enqueue a schedule's job now, whatever its times say, also
-- while it is paused and while a job of it runs.
--
-- KEYS    as for schedule_fire
-- ARGV[1] name   ARGV[2] the job's local id
--
-- Returns {now, flags, stored}: flags as schedule_fire has them; stored is 1; 2
-- when there is or was a job of that id, and nothing is done; 0 when there is
-- no such schedule; -1 when the queue is closed or full. Times and what is
-- buffered stay as they are.
-- include: need
-- include: clock
local schedules, fired = KEYS[1], KEYS[3]
local jobs, state, gone, stats = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local wake, meta = KEYS[8], KEYS[9]
local HISTORY_MAX = 20

local call, match = need, string.match
for _, key in ipairs({jobs, state, stats}) do
    call('HLEN', key)
end
call('ZCARD', gone)
call('HLEN', meta)
call('HLEN', fired)
call('XLEN', string.sub(jobs, 1, -5) .. 'outbox')
call('XLEN', string.sub(jobs, 1, -5) .. 'events')
local token = call('LLEN', wake)
for k = 10, 19 do
    call('LLEN', KEYS[k])
end
local text = call('HGET', schedules, ARGV[1])
local nominal, buffered, lines = match(call('HGET', fired, ARGV[1]) or '',
                                       '^(%S+) (%d+) %S+\n(.*)$')
if not text or not nominal then
    return {now, 0, 0}
end
local stored, waiting, outbox = 0, false, false
-- include: schedule_job
if call('HEXISTS', jobs, ARGV[2]) == 1 or call('ZSCORE', gone, ARGV[2]) then
    return {now, 0, 2}
end
-- include: retry_record
local record = retry_record(cjson.decode(text).record)
if not schedule_job_room(record) then
    return {now, 0, -1}
end
schedule_job_store(ARGV[2], record)
local _, n = string.gsub(lines, '\n', '')
if n >= HISTORY_MAX then
    lines = match(lines, '^[^\n]*\n(.*)$')
end
call('HSET', fired, ARGV[1],
     nominal .. ' ' .. buffered .. ' ' .. ARGV[2] .. '\n' .. lines ..
         now_text .. ' ' .. now_text .. ' t ' .. ARGV[2] .. '\n')
if waiting and token == 0 then
    call('RPUSH', wake, '1')
end
local flags = outbox and 2 or 0
if stored > 0 and call('HINCRBY', stats, 'enqueued', stored) == stored then
    flags = flags + 1
end
return {now, flags, 1}
