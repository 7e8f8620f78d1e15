#!lua
-- schedule_put: store a schedule, new or changed.
--
-- KEYS[1] schedules HASH  name -> JSON
-- KEYS[2] fires     ZSET  name -> when it fires next (ms, this server's clock)
-- KEYS[3] fired     HASH  name -> "<nominal> <buffered> <last job>\n" and a
--                         line a fire, see schedule_fire
-- ARGV[1] name      ARGV[2] the version that it must have; 0: there is none yet
-- ARGV[3] the JSON object behind its first member, "version": {"version":N,...
-- ARGV[4] the next nominal time   ARGV[5] when that is fired
--         "-" and "-": it does not fire (paused, or over)
-- ARGV[6] channel   ARGV[7] the queue's name, published there when this fires
--         sooner than anything of the queue did: who sleeps has a timer
--
-- Returns {now, version}, or {now, 0} when it has another version: nothing was
-- changed then. A version is never used twice for a name.
-- include: need
local call = need
-- include: clock
local name = ARGV[1]
local old = call('HGET', KEYS[1], name)
local version = 0
if old then
    version = tonumber(string.match(old, '^{"version":(%d+)')) or 0
end
call('HLEN', KEYS[3])
local head = call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
if version ~= tonumber(ARGV[2]) then
    return {now, 0}
end

version = math.max(now, version + 1)
call('HSET', KEYS[1], name,
     string.format('{"version":%d,', version) .. ARGV[3])
local fired = call('HGET', KEYS[3], name) or '- 0 -\n'
local buffered, last, lines =
    string.match(fired, '^%S+ (%d+) (%S+)\n(.*)$')
if ARGV[4] == '-' then
    buffered = 0 -- nothing more starts from it
    call('ZREM', KEYS[2], name)
else
    local at = tonumber(ARGV[5])
    if buffered ~= '0' then
        at = math.min(at, now) -- somebody looks at what waits
    end
    call('ZADD', KEYS[2], string.format('%d', at), name)
    if not head or at < tonumber(head) then
        call('PUBLISH', ARGV[6], ARGV[7])
    end
end
call('HSET', KEYS[3], name,
     ARGV[4] .. ' ' .. buffered .. ' ' .. last .. '\n' .. lines)
return {now, version}
