#!lua
-- operation_tell: what a process says of an operation that it runs.
--
-- KEYS[1] documents HASH  id -> JSON     KEYS[2] running  ZSET  id -> till when
-- KEYS[3] runners   HASH  id -> process  KEYS[4] stopping SET  ids
-- KEYS[5] kept      ZSET  id -> when it is forgotten
-- ARGV[1] id  ARGV[2] the process  ARGV[3] document
-- ARGV[4] new; goes: it is under way; left: another process may go on with it
--         now; ended
-- ARGV[5] lease ms  ARGV[6] kept ms  ARGV[7] how many are kept
--
-- Returns 1; 2: it is asked to stop; 0: another process has taken it over, or
-- there is one of that id already (new), and nothing was changed. running says
-- until when its process answers for it: from then on another may take it.
-- include: need
-- include: clock
local call = redis.call
local documents, running, runners = KEYS[1], KEYS[2], KEYS[3]
local stopping, kept = KEYS[4], KEYS[5]
local FORGET_MAX = 10 -- a call
local id, how = ARGV[1], ARGV[4]
local known = need('HEXISTS', documents, id) == 1
need('ZCARD', running)
local runner = need('HGET', runners, id)
local stops = need('SISMEMBER', stopping, id) == 1
need('ZCARD', kept)
if how == 'new' and known or how ~= 'new' and runner ~= ARGV[2] then
    return 0
end
call('HSET', documents, id, ARGV[3])
call('ZADD', kept, string.format('%d', now + ARGV[6]), id)
if how == 'ended' then
    call('ZREM', running, id)
    call('HDEL', runners, id)
    call('SREM', stopping, id)
else
    call('HSET', runners, id, ARGV[2])
    call('ZADD', running,
         string.format('%d', how == 'left' and now or now + ARGV[5]), id)
end
local old = call('ZRANGEBYSCORE', kept, '-inf', now_text, 'LIMIT', 0,
                 FORGET_MAX)
local over = call('ZCARD', kept) - ARGV[7]
if #old == 0 and over > 0 then
    old = call('ZRANGE', kept, 0, math.min(over, FORGET_MAX) - 1)
end
if #old > 0 then
    call('HDEL', documents, unpack(old))
    call('ZREM', running, unpack(old))
    call('HDEL', runners, unpack(old))
    call('SREM', stopping, unpack(old))
    call('ZREM', kept, unpack(old))
end
return stops and 2 or 1
