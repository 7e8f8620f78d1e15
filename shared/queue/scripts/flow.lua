#!lua
-- flow: accept a flow: keep its document, and its jobs as messages to be
-- delivered.
--
-- KEYS[1] flows  ZSET   local flow id -> when it was accepted
-- KEYS[2] outbox STREAM of messages      KEYS[3] wake   LIST, at most one token
-- KEYS[4] meta   HASH   settings of the queue
-- ARGV[1] local id of the flow  ARGV[2] its document (JSON)
-- ARGV[3] keep, ms              ARGV[4] its name, or empty
-- ARGV[5..] per job: full id, record
--
-- Returns 1; 0 when a flow of that id is there already (nothing changed).
-- Refused with CLOSED when the queue takes no jobs at the moment.
--
-- The flow itself is `flow:<local id>` HASH: document, keep, name, jobs (how
-- many), left (how many have not ended), created; cancelled 1 when that was
-- asked for; for each job that ended its full id -> its code; failed 1 when one
-- that nothing follows did not succeed. Once all have ended: ended, and it
-- expires.
-- include: clock
local JOBS_PER_MESSAGE = 32
local FLOWS_MAX = 100000 -- that can be listed

-- include: need
local call = need
local key = string.match(KEYS[1], '^(.*:)flows$') .. 'flow:' .. ARGV[1]
if call('HLEN', key) > 0 then
    return 0
end
if call('HGET', KEYS[4], 'closed') == '1' then
    return redis.error_reply('CLOSED the queue takes no jobs at the moment')
end
call('ZCARD', KEYS[1])
call('XLEN', KEYS[2])
local token = call('LLEN', KEYS[3])
local jobs = (#ARGV - 4) / 2

call('HSET', key, 'document', ARGV[2], 'keep', ARGV[3], 'name', ARGV[4], 'jobs',
     jobs, 'left', jobs, 'created', now_text)
call('ZADD', KEYS[1], now_text, ARGV[1])
call('ZREMRANGEBYRANK', KEYS[1], 0, -FLOWS_MAX - 1)
for first = 5, #ARGV, 2 * JOBS_PER_MESSAGE do
    local fields = {'kind', 'enqueue'}
    for a = first, math.min(first + 2 * JOBS_PER_MESSAGE, #ARGV + 1) - 1, 2 do
        fields[#fields + 1] = 'job'
        fields[#fields + 1] = ARGV[a]
        fields[#fields + 1] = 'record'
        fields[#fields + 1] = ARGV[a + 1]
    end
    call('XADD', KEYS[2], '*', unpack(fields))
end
if token == 0 then -- a worker sees the outbox if we do not come to deliver it
    call('RPUSH', KEYS[3], '1')
end
return 1
