#!lua flags=no-writes
-- schedule_due: which schedules of a queue are due, and when the next one is.
--
-- KEYS[1] schedules HASH  name -> JSON
-- KEYS[2] fires     ZSET  name -> when it fires next (ms, this server's clock)
-- KEYS[3] fired     HASH  name -> "<nominal> <buffered> <last job>\n"..., see
--                         schedule_fire
-- ARGV[1] how many at most
--
-- Returns {now, next, then per schedule: name, nominal, JSON}: next is the ms
-- until the next one that is not in the answer fires (0: more are due), -1:
-- there is none. nominal is the time that has to be dealt with, as text. What
-- has lost its definition comes with false for the JSON.
-- include: need
local call = need
-- include: clock
local BYTES_MAX = 1048576 -- of definitions in one answer, and one more

local answer, bytes, next_at = {now, -1}, 0, nil
local due = call('ZRANGE', KEYS[2], '-inf', now_text, 'BYSCORE', 'LIMIT',
                       0, ARGV[1], 'WITHSCORES')
local taken = 0
for i = 1, #due, 2 do
    if bytes > BYTES_MAX then
        break
    end
    local name = due[i]
    local text = call('HGET', KEYS[1], name)
    local fired = call('HGET', KEYS[3], name)
    answer[#answer + 1] = name
    answer[#answer + 1] = string.match(fired or due[i + 1], '^%S+')
    answer[#answer + 1] = text
    bytes = bytes + #(text or '')
    taken = taken + 1
end
local following = call('ZRANGE', KEYS[2], taken, taken, 'WITHSCORES')[2]
if following then
    answer[2] = math.max(math.floor(tonumber(following)) - now, 0)
end
return answer
