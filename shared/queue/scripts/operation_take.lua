#!lua
-- operation_take: go on with operations that their processes left.
--
-- KEYS[1] documents HASH  id -> JSON     KEYS[2] running  ZSET  id -> till when
-- KEYS[3] runners   HASH  id -> process  KEYS[4] stopping SET  ids
-- KEYS[5] kept      ZSET  id -> when it is forgotten
-- ARGV[1] the process that asks  ARGV[2] lease ms  ARGV[3] how many at most
--
-- Returns {id, document, ...}, now those of the process that asks. What the one
-- before says of them from now on is refused.
-- include: need
-- include: clock
local call = redis.call
need('HLEN', KEYS[1])
local left = need('ZRANGEBYSCORE', KEYS[2], '-inf', now_text, 'LIMIT', 0,
                  ARGV[3])
need('HLEN', KEYS[3])
local answer = {}
for _, id in ipairs(left) do
    local document = call('HGET', KEYS[1], id)
    if document then
        call('HSET', KEYS[3], id, ARGV[1])
        call('ZADD', KEYS[2], string.format('%d', now + ARGV[2]), id)
        answer[#answer + 1] = id
        answer[#answer + 1] = document
    else
        call('ZREM', KEYS[2], id)
    end
end
return answer
