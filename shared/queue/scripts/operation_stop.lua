#!lua
-- operation_stop: ask an operation to stop.
--
-- KEYS[1] documents HASH  id -> JSON     KEYS[2] running  ZSET  id -> till when
-- KEYS[3] runners   HASH  id -> process  KEYS[4] stopping SET  ids
-- KEYS[5] kept      ZSET  id -> when it is forgotten
-- ARGV[1] id
--
-- Returns 1: its process hears of it with what it says next; 0: it has ended;
-- -1: there is none.
-- include: need
if need('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    return -1
end
need('SCARD', KEYS[4])
if not need('ZSCORE', KEYS[2], ARGV[1]) then
    return 0
end
redis.call('SADD', KEYS[4], ARGV[1])
return 1
