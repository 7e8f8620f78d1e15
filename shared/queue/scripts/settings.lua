#!lua flags=allow-oom
-- settings: change settings of a queue, and answer all of them.
--
-- KEYS[1] meta  HASH  setting -> value
-- KEYS[2] wake  LIST  at most one token: "there may be ready jobs"
-- ARGV    setting, value, setting, value, ...; an empty value removes it
--
-- allow-oom: who stops a queue of a full server must be able to.
--
-- Returns meta as name, value, name, value, ... as it is afterwards. A change
-- puts a token into wake: what held jobs back may be gone, and whoever takes
-- the token for nothing finds that out with one call.
-- include: need
local call = need
call('HLEN', KEYS[1])
local token = call('LLEN', KEYS[2])
local changed = false
for i = 1, #ARGV, 2 do
    if ARGV[i + 1] == '' then
        changed = call('HDEL', KEYS[1], ARGV[i]) == 1 or changed
    elseif call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then
        call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
        changed = true
    end
end
if changed and token == 0 then
    call('RPUSH', KEYS[2], '1')
end
return call('HGETALL', KEYS[1])
