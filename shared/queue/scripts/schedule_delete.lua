#!lua
-- schedule_delete: forget a schedule and its history. Its jobs stay.
--
-- KEYS[1] schedules  KEYS[2] fires  KEYS[3] fired
-- ARGV[1] name   ARGV[2] the version that it must have; 0: any
--
-- Returns 1; 0 when there was none; -1 when it has another version: nothing was
-- changed then.
-- include: need
local call = need
local old = call('HGET', KEYS[1], ARGV[1])
call('ZCARD', KEYS[2])
call('HLEN', KEYS[3])
if old and ARGV[2] ~= '0' and
    string.match(old, '^{"version":(%d+)') ~= ARGV[2] then
    return -1
end
call('ZREM', KEYS[2], ARGV[1])
call('HDEL', KEYS[3], ARGV[1])
return call('HDEL', KEYS[1], ARGV[1])
