#!lua flags=no-writes
-- schedule_get: schedules of one queue, as they are at one moment.
--
-- KEYS[1] schedules HASH  name -> JSON
-- KEYS[2] fired     HASH  name -> "<nominal> <buffered> <last job>\n" and a
--                         line a fire, see schedule_fire
-- ARGV    names
--
-- Returns {now, JSON, fired, JSON, fired, ...}, each false when there is none.
-- include: need
local call = need
-- include: clock
local answer = {now}
for _, name in ipairs(ARGV) do
    answer[#answer + 1] = call('HGET', KEYS[1], name)
    answer[#answer + 1] = call('HGET', KEYS[2], name)
end
return answer
