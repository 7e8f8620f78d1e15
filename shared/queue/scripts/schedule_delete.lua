#!lua
-- schedule_delete: forget a schedule and its history. Its jobs stay.
--
-- KEYS[1] schedules  KEYS[2] fires  KEYS[3] fired
-- ARGV[1] name   ARGV[2] the version that it must have; 0: any
--
-- Returns 1; 0 when there was none; -1 when it has another version: nothing was
-- changed then.
local old = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('ZCARD', KEYS[2])
redis.call('HLEN', KEYS[3])
if old and ARGV[2] ~= '0' and
    string.match(old, '^{"version":(%d+)') ~= ARGV[2] then
    return -1
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
