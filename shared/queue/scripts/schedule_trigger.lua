#!lua
-- schedule_trigger: enqueue a schedule's job now, whatever its times say, also
-- while it is paused and while a job of it runs.
--
-- KEYS    as for schedule_fire
-- ARGV[1] name   ARGV[2] the job's local id
--
-- Returns {now, flags, stored}: flags as schedule_fire has them; stored is 1; 2
-- when there is or was a job of that id, 0 when there is no such schedule, -1
-- when the queue is closed or full, "=<local id>" when that job holds the
-- unique key: nothing is done then. Times and what is buffered stay as they
-- are.
-- include: need
-- include: clock
-- include: schedule_keys
local text = call('HGET', schedules, ARGV[1])
local nominal, buffered, lines = match(call('HGET', fired, ARGV[1]) or '',
                                       '^(%S+) (%d+) %S+\n(.*)$')
if not text or not nominal then
    return {now, 0, 0}
end
-- include: room
-- include: events
-- include: options
-- include: unique
-- include: schedule_job
if call('HEXISTS', jobs, ARGV[2]) == 1 or call('ZSCORE', gone, ARGV[2]) then
    return {now, 0, 2}
end
-- include: retry_record
local record = retry_record(cjson.decode(text).record)
local _, holder = schedule_job_holder(record)
if holder then
    return {now, 0, '=' .. holder}
end
if not schedule_job_room(record) then
    return {now, 0, -1}
end
schedule_job_store(ARGV[2], record)
lines = remember(lines, now_text, 't', ARGV[2])
call('HSET', fired, ARGV[1],
     nominal .. ' ' .. buffered .. ' ' .. ARGV[2] .. '\n' .. lines)
return {now, settle(), 1}
