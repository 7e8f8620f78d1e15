#!lua
-- enqueue: store jobs of one queue, each ready or scheduled.
--
-- KEYS[1] jobs   HASH  local id -> record
-- KEYS[2] gone   ZSET  local id -> when it was forgotten
-- KEYS[3] due    ZSET  entry -> when it is due (ms, this server's clock)
-- KEYS[4] stats  HASH  counters
-- KEYS[5] wake   LIST  at most one token: "there may be ready jobs"
-- KEYS[6] meta   HASH  settings
-- KEYS[7..]      ready LISTs, those that the jobs below name
-- ARGV[1] mode   fresh: the ids are new ULIDs and are not looked up
--                named: an id may exist; each job is stored or not
--                all:   an id may exist; then nothing is stored
-- ARGV[2..]      per job: local id, priority digit, record, where
--                where: the number of its ready list among KEYS[7..], or
--                "+ms" scheduled that long from now, or "@ms" for that time
--
-- Returns {first, outcome, ...}: first is 1 when these are the queue's first jobs
-- ever (the caller then registers the queue's name); an outcome per job: 1
-- stored, 0 its id is known and past its retention, or the record that stands
-- there already. In fresh mode there are no outcomes: all were stored.
--
-- Invariants: a job is stored in `jobs` and in exactly one of ready and due. A
-- ready list that is not empty has a token in wake, or a claim on its way.
-- include: clock
local mode = ARGV[1]
local soonest

-- Reads first: a key of the wrong type is an error before the first write.
redis.call('HLEN', KEYS[1])
redis.call('HLEN', KEYS[4])
local token = redis.call('LLEN', KEYS[5])
local head = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
for k = 7, #KEYS do
    redis.call('LLEN', KEYS[k])
end

local outcomes = {}
if mode ~= 'fresh' then
    local taken, seen = false, {}
    for a = 2, #ARGV, 4 do
        local known = redis.call('HGET', KEYS[1], ARGV[a])
        if not known and redis.call('ZSCORE', KEYS[2], ARGV[a]) then
            known = 0
        end
        known = known or seen[ARGV[a]]
        seen[ARGV[a]] = ARGV[a + 2]
        outcomes[#outcomes + 1] = known or 1
        taken = taken or known
    end
    if mode == 'all' and taken then
        return {0, unpack(outcomes)}
    end
end

local records, due, ready, stored = {}, {}, {}, 0
for a = 2, #ARGV, 4 do
    if mode == 'fresh' or outcomes[(a + 2) / 4] == 1 then
        local id, where = ARGV[a], ARGV[a + 3]
        local entry = ARGV[a + 1] .. id
        records[#records + 1] = id
        records[#records + 1] = ARGV[a + 2]
        stored = stored + 1
        local how = string.byte(where)
        if how == 43 or how == 64 then -- '+' or '@'
            local at = tonumber(string.sub(where, 2))
            if how == 43 then
                at = now + at
            end
            due[#due + 1] = at
            due[#due + 1] = entry
            if not soonest or at < soonest then
                soonest = at
            end
        else
            local list = tonumber(where) + 6
            local entries = ready[list]
            if not entries then
                entries = {}
                ready[list] = entries
            end
            entries[#entries + 1] = entry
        end
    end
end
if stored == 0 then
    return {0, unpack(outcomes)}
end

redis.call('HSET', KEYS[1], unpack(records))
if soonest then
    redis.call('ZADD', KEYS[3], unpack(due))
end
local waiting = false
for list, entries in pairs(ready) do
    redis.call('RPUSH', KEYS[list], unpack(entries))
    waiting = true
end
-- A sleeping worker has a timer for the head of due: only an earlier one is news.
if token == 0 and
    (waiting or (soonest and (not head[2] or soonest < tonumber(head[2])))) then
    redis.call('RPUSH', KEYS[5], '1')
end
local total = redis.call('HINCRBY', KEYS[4], 'enqueued', stored)
return {total == stored and 1 or 0, unpack(outcomes)}
