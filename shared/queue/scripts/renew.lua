#!lua flags=allow-oom
-- renew: push back the deadlines of leases that a worker still holds.
--
-- KEYS[1]  leased  ZSET  entry -> deadline (ms, this server's clock)
-- KEYS[2]  state   HASH  id -> state text
-- KEYS[3]  cancels HASH  id -> asked to stop
-- KEYS[4]  meta    HASH  settings, and when the queue was seen last
-- ARGV[1]  lease   ms to add to now, > 0
-- ARGV[2..]        entry, token, entry, token, ...   at most 100 pairs
--
-- Returns the tokens whose lease is not the caller's any more, in order; the
-- caller must stop their handlers and must not finish them. Of a lease that is
-- held, but whose job was asked to stop, it returns the token with ! before it:
-- stop the handler and finish the attempt (x).
--
-- Invariants: a lease that has run out but has not been reaped yet may still be
-- renewed by its holder (nobody else has the job); a reaped one may not, since
-- its token is gone from the state. No deadline ever moves back, unless the
-- clock was set back: then it counts from the new time. allow-oom, because a
-- worker that cannot renew would lose its jobs when memory is short.
-- include: need
local call = need
-- include: clock
local STEP_MIN, SEEN_EVERY = 5000, 1000
local lease = tonumber(ARGV[1])
local deadline = now + lease
call('ZCARD', KEYS[1])
call('HLEN', KEYS[2])
call('HLEN', KEYS[3])
local seen = tonumber(call('HGET', KEYS[4], 'seen') or 0)
local set_back = seen > now + STEP_MIN
if now - seen >= SEEN_EVERY and now - seen < lease / 2 then
    -- A longer gap is for work to look at: leases may have to be moved.
    call('HSET', KEYS[4], 'seen', string.format('%d', now))
end
local lost = {}

for i = 2, #ARGV, 2 do
    local entry, token = ARGV[i], ARGV[i + 1]
    local text = call('HGET', KEYS[2], string.sub(entry, 2))
    local code = text and string.byte(text)
    local mark = ' ' .. token .. ' '
    if (code == 82 or code == 114) and
        string.sub(text, 2, #mark + 1) == mark then
        if set_back then
            call('ZADD', KEYS[1], 'XX', deadline, entry)
        else
            call('ZADD', KEYS[1], 'XX', 'GT', deadline, entry)
        end
        if code == 114 and
            call('HEXISTS', KEYS[3], string.sub(entry, 2)) == 1 then
            lost[#lost + 1] = '!' .. token
        end
    else
        lost[#lost + 1] = token
    end
end
return lost
