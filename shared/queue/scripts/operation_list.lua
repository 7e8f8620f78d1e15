#!lua flags=no-writes
-- operation_list: operations, the newest first.
--
-- KEYS[1] documents HASH  id -> JSON     KEYS[2] running  ZSET  id -> till when
-- KEYS[3] runners   HASH  id -> process  KEYS[4] stopping SET  ids
-- KEYS[5] kept      ZSET  id -> when it is forgotten
-- ARGV[1] the id of one, or ''  ARGV[2] only those older than this id, or ''
-- ARGV[3] how many at most
--
-- Returns {more, id, document, alive, stops, ...}: alive is 1 while its process
-- answers for it, stops 1 when it is asked to stop; more is 1 when there are
-- older ones. A page ends at 2 MiB.
-- include: need
-- include: clock
local PAGE_BYTES = 2097152
local answer, bytes, n = {0}, 0, 0
local function add(id)
    local document = need('HGET', KEYS[1], id)
    if document then
        local till = tonumber(need('ZSCORE', KEYS[2], id) or 0)
        answer[4 * n + 2], answer[4 * n + 3] = id, document
        answer[4 * n + 4] = till > now and 1 or 0
        answer[4 * n + 5] = need('SISMEMBER', KEYS[4], id)
        n, bytes = n + 1, bytes + #document
    end
end
if ARGV[1] ~= '' then
    add(ARGV[1])
    return answer
end
local ids = need('ZRANGE', KEYS[5], 0, -1) -- no more than are kept
table.sort(ids, function(a, b) return a > b end)
for _, id in ipairs(ids) do
    if ARGV[2] == '' or id < ARGV[2] then
        if n == tonumber(ARGV[3]) or bytes >= PAGE_BYTES then
            answer[1] = 1
            break
        end
        add(id)
    end
end
return answer
