#!lua
-- attach: let a job hear of the end of another one.
--
-- KEYS[1] jobs     HASH id -> record   KEYS[4] gone     ZSET id -> when
-- KEYS[2] state    HASH id -> state    KEYS[5] children HASH id -> full ids
-- KEYS[3] results  HASH id -> JSON     KEYS[6] outbox   STREAM of messages
-- (jobs gives the name of wake, a LIST of at most one token, too)
-- ARGV[1] id of the parent, in this queue   ARGV[2] its full id
-- ARGV[3] the child's full id, of any queue
--
-- Returns 1: the child hears of the end; 2: the parent has ended, and the
-- message lies in the outbox; 0: there is no such parent; -1: it has ended and
-- is past its retention.
--
-- The child need not be there yet: attach first, then enqueue it, so that no
-- end is missed. Attaching the same child again changes nothing.
local CHILDREN_MAX = 65536 -- bytes of one parent's list

-- include: need
local call = need
local id, child = ARGV[1], ARGV[3]
local record = call('HGET', KEYS[1], id)
if not record then
    return call('ZSCORE', KEYS[4], id) and -1 or 0
end
local text = call('HGET', KEYS[2], id)
local code = text and string.sub(text, 1, 1)
call('HLEN', KEYS[3])
call('XLEN', KEYS[6])
local wake = string.sub(KEYS[1], 1, -5) .. 'wake'
local token = call('LLEN', wake)
if code and string.find('SCXD', code, 1, true) then
    call('XADD', KEYS[6], '*', 'kind', 'end', 'to', child, 'from', ARGV[2],
         'code', code, 'result', call('HGET', KEYS[3], id) or '')
    if token == 0 then -- the caller carries it on, unless it dies
        call('RPUSH', wake, '1')
    end
    return 2
end
local list = call('HGET', KEYS[5], id) or ''
if string.find(' ' .. list, ' ' .. child .. ' ', 1, true) then
    return 1
end
if #list + #child >= CHILDREN_MAX then
    return redis.error_reply('LIMIT too many jobs wait for ' .. ARGV[2])
end
call('HSET', KEYS[5], id, list .. child .. ' ')
if string.sub(record, 3, 3) ~= '+' then -- the flag: work looks at its options
    call('HSET', KEYS[1], id, string.sub(record, 1, 2) .. '+' ..
         string.sub(record, 4))
end
if code == 'R' then -- whoever ends it must look
    call('HSET', KEYS[2], id, 'r' .. string.sub(text, 2))
end
return 1
