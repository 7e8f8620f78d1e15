#!lua
-- enqueue: store jobs of one queue, each ready, scheduled or blocked.
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
--                "+ms" scheduled that long from now, or "@ms" for that time; of
--                a job with a unique key with one letter before it, what
--                becomes of it when the key is held: r refused, t the holder is
--                the answer, p a holder that waits is cancelled (else as r)
--
-- Returns {first, outcome, ...}: first is 1 when these are the queue's first
-- jobs ever (the caller then registers the queue's name); an outcome per job:
--   1         stored
--   0         its id is known and past its retention
--   -1, -2    refused: the queue is full, or closed
--   =<id>     refused: that job holds its unique key
--   ~<id>     stored: that job, which held its unique key, is cancelled
--   a record  stands under its id already
-- In fresh mode there are no outcomes when all were stored. In mode all,
-- nothing is stored unless each is stored or (with t) has a holder. When the
-- queue's limits refuse all jobs of the call, or one in mode all, it is the
-- error FULL or CLOSED.
--
-- Invariants: a job is stored in `jobs` and in exactly one of ready (or the
-- list of its limit key), due and blocked. A ready list that is not empty has a
-- token in wake, or a claim on its way. A unique key is taken by the step that
-- stores the job.
-- include: need
local call, sub, byte = redis.call, string.sub, string.byte
local jobs, gone, due, stats, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local mode = ARGV[1]

-- Reads first: a key of the wrong type is an error before the first write.
local set = need('HMGET', KEYS[6], 'closed', 'len_max', 'bytes_max', 'watched')
local closed = set[1] == '1'
local len_max, bytes_max = tonumber(set[2]), tonumber(set[3])
need('HLEN', jobs)
local token = need('LLEN', wake)
for k = 7, #KEYS do
    need('LLEN', KEYS[k])
end

-- New jobs without options, into a queue without limits of its own: nothing
-- stands in their way. They are most of all, so this is kept short; nothing is
-- written before it is known that all are such. Of the writes the one to stats
-- comes first, and is its own check.
local function easy()
    local time -- this server's clock in ms; who asks for none saves a command
    local function now()
        local clock = time or call('TIME')
        time = time or clock[1] * 1000 + math.floor(clock[2] / 1000)
        return time
    end
    if mode ~= 'fresh' or closed or len_max or bytes_max or
        (set[4] and tonumber(set[4]) > now()) then
        return
    end
    local records, due_words, ready, soonest = {}, nil, nil, nil
    local last_where, entries -- most jobs of a call go to one list
    if #ARGV > 33 then -- a table that need not grow
        records = {unpack(records, 1, #ARGV / 2)}
    end
    local n = 0
    for a = 2, #ARGV, 4 do
        local id, record, where = ARGV[a], ARGV[a + 2], ARGV[a + 3]
        if byte(record, 3) == 43 then -- '+'
            return
        end
        records[n + 1] = id
        records[n + 2] = record
        n = n + 2
        local how = where ~= last_where and byte(where)
        if how == 43 or how == 64 then -- '+' or '@'
            local at = tonumber(sub(where, 2)) + (how == 43 and now() or 0)
            due_words = due_words or {}
            due_words[#due_words + 1] = string.format('%d', at)
            due_words[#due_words + 1] = ARGV[a + 1] .. id
            soonest = soonest and math.min(soonest, at) or at
        else
            if how then
                ready = ready or {}
                entries = ready[where] or {}
                ready[where], last_where = entries, where
            end
            entries[#entries + 1] = ARGV[a + 1] .. id
        end
    end
    local head = due_words and need('ZRANGE', due, '0', '0', 'WITHSCORES')[2]
    local total = need('HINCRBY', stats, 'enqueued', n / 2)
    call('HSET', jobs, unpack(records, 1, n))
    if due_words then
        call('ZADD', due, unpack(due_words))
    end
    for where, one in pairs(ready or {}) do
        call('RPUSH', KEYS[where + 6], unpack(one))
    end
    if token == 0 and (ready or not head or soonest < tonumber(head)) then
        call('RPUSH', wake, '1')
    end
    return {total == n / 2 and 1 or 0}
end
local all_easy = easy()
if all_easy then
    return all_easy
end

-- include: clock
local watched = (tonumber(set[4]) or 0) > now
local base = sub(jobs, 1, -5)
local state = base .. 'state'
local match = string.match
local UNLOCKS_MAX = 10 -- locks that ended by time, taken off a call

-- include: options

-- What only options need is read before the first write as well: all that it
-- may take to end a job, where one may be replaced or has parents that have
-- ended.
need('HLEN', stats)
if mode ~= 'fresh' then
    need('ZCARD', gone)
end
local asked_of = {} -- number of the job's first word -> its options
local ends, timed, checked = false, false, {}
local function check_once(command, name)
    checked[name] = checked[name] or need(command, base .. name)
end
for a = 2, #ARGV, 4 do
    local id, record, where = ARGV[a], ARGV[a + 2], ARGV[a + 3]
    local how = byte(where)
    if byte(record, 3) == 43 then -- '+'
        local asked = options_of(record)
        local key = limit_key_of(asked)
        asked_of[a] = asked
        if key then
            check_once('LLEN', 'key:' .. sub(record, 2, 2) .. key)
            check_once('HLEN', 'turns')
        end
        if asked.u then
            ends = ends or how == 112 -- 'p'
            how = byte(where, 2)
            check_once('HLEN', 'unique')
            check_once('ZCARD', 'unlocks')
        end
        if asked.n then
            ends = ends or match(asked.n, ',s') ~= nil
            check_once('ZCARD', 'blocked')
            need('HLEN', base .. 'in:' .. id)
            need('GET', base .. 'stop:' .. id)
        end
    end
    timed = timed or how == 43 or how == 64 -- '+' or '@'
end
local head = timed and
    tonumber(need('ZRANGE', due, '0', '0', 'WITHSCORES')[2])
if ends then
-- include: check_keys
    check_keys()
end
if watched then
    need('XLEN', base .. 'events')
end

-- include: events
local stored, stored_bytes, keyed = 0, 0, 0
local records, records_len, due_words = {}, 0, {}
local ready, queued, turns = {}, {}, {} -- list -> entries; turns: HSET's words
local soonest, notes, waiting = nil, {}, false
local ended -- see enders()

-- Into a list, by its key.
local function push(lists, list, entry)
    local entries = lists[list]
    if not entries then
        entries = {}
        lists[list] = entries
    end
    entries[#entries + 1] = entry
end

-- Behind the others of its limit key, which have a turn if there are any.
local function queue_up(entry, key)
    local digit = sub(entry, 1, 1)
    local name = digit .. key
    if checked['key:' .. name] == 0 and not queued[base .. 'key:' .. name] then
        push(ready, base .. 'ready:' .. digit, digit .. '=' .. key)
        turns[#turns + 1], turns[#turns + 2] = name, 'r'
    end
    push(queued, base .. 'key:' .. name, entry)
    waiting = true
end

-- The writes that can wait for each other, and what follows from all of them:
-- the script's reply.
local function write(outcomes)
    if records_len > 0 then
        call('HSET', jobs, unpack(records, 1, records_len))
    end
    if #due_words > 0 then
        call('ZADD', due, unpack(due_words))
    end
    for list, entries in pairs(queued) do
        call('RPUSH', list, unpack(entries))
    end
    if #turns > 0 then
        call('HSET', base .. 'turns', unpack(turns))
    end
    for list, entries in pairs(ready) do
        call('RPUSH', list, unpack(entries))
        waiting = true
    end
    if keyed > 0 then
        call('HINCRBY', stats, 'keyed', keyed)
    end
    if bytes_max then
        call('HINCRBY', stats, 'bytes', stored_bytes)
    end
    if #notes > 0 then
        tell_listeners(table.concat(notes))
    end
    -- A sleeping worker has a timer for the head of due: only an earlier one is
    -- news.
    local sooner = soonest and (not head or soonest < head)
    local told = ended and ended.woke() -- of a job that was ended
    if token == 0 and (waiting or sooner or told) then
        call('RPUSH', wake, '1')
    end
    local total = call('HINCRBY', stats, 'enqueued', stored)
    return {total == stored and 1 or 0, unpack(outcomes)}
end

-- Only unique jobs need this, and only who is to be ended the rest: to make
-- these functions costs as much as to store the job.
local made
local function locks()
    if made then
        return made
    end
-- include: unique
    made = {holder = holder_of, take = lock, forget = forget_locks}
    return made
end
local function enders()
    if ended then
        return ended
    end
-- include: unique
-- include: ends
    local find = string.find
-- include: states
-- include: forget
-- include: place
-- include: cancel_waiting
    ended = {cancel = cancel_waiting, withdraw = withdraw,
             stops_waiting = stops_waiting,
             woke = function() return ends_woke end}
    return ended
end

-- include: room
local len_left, bytes_left = room_of_queue(len_max, bytes_max)

local function note(id, code)
    if watched then
        notes[#notes + 1] = id .. ' ' .. code .. ' 0\n'
    end
end

local function schedule(entry, where)
    local at = tonumber(sub(where, 2))
    if byte(where) == 43 then -- '+'
        at = now + at
    end
    due_words[#due_words + 1] = string.format('%d', at)
    due_words[#due_words + 1] = entry
    if not soonest or at < soonest then
        soonest = at
    end
    note(sub(entry, 2), 'N+')
end

local function is_time(where)
    local how = byte(where)
    return how == 43 or how == 64 -- '+' or '@'
end

-- How a job with parents begins: blocked, or on its way when they have ended,
-- or cancelled when one of them did not succeed.
local function begin_child(id, entry, record, asked)
    local parents, policy = match(asked.n, '^(%d+),(%a)')
    local inputs = base .. 'in:' .. id
    local stop = policy == 's' and call('GET', base .. 'stop:' .. id)
    call('PERSIST', inputs)
    if stop then
        call('DEL', base .. 'stop:' .. id)
        enders().cancel(id, record, asked,
                         '"' .. stop .. ' did not succeed"')
        stored_bytes = stored_bytes - #record
        note(id, 'C')
        return true
    elseif call('HLEN', inputs) < tonumber(parents) then
        call('ZADD', base .. 'blocked', now_text, entry)
        note(id, 'B')
        return true
    end
end

local function store(id, record, where, digit, asked)
    local entry = digit .. id
    -- The next job may have to do with one that is unique or a child: those are
    -- written at once.
    if asked and (asked.u or asked.n) then
        call('HSET', jobs, id, record)
        if asked.u then
            locks().take(id, asked)
        end
    else
        records[records_len + 1] = id
        records[records_len + 2] = record
        records_len = records_len + 2
    end
    local key = asked and limit_key_of(asked)
    keyed = keyed + (key and 1 or 0)
    if asked and asked.n and begin_child(id, entry, record, asked) then
        return
    elseif is_time(where) then
        return schedule(entry, where)
    elseif key then
        queue_up(entry, key)
    else
        push(ready, KEYS[tonumber(where) + 6], entry)
    end
    if watched then
        note(id, 'N')
    end
end

-- Whether the holder can make way: it waits.
local function can_replace(holder)
    local text = call('HGET', state, holder)
    return call('HEXISTS', jobs, holder) == 1 and
        (not text or byte(text) == 87) -- 'W'
end

local function replace(holder)
    local record = call('HGET', jobs, holder)
    if #due_words > 0 then -- it may be one of them
        call('ZADD', due, unpack(due_words))
        due_words = {}
    end
    enders().withdraw(holder, record)
    enders().stops_waiting(record, call('HGET', state, holder))
    enders().cancel(holder, record, options_of(record), '"replaced"')
    note(holder, 'C')
    len_left, bytes_left = len_left + 1, bytes_left + #record
end

-- What stands in the way of one job: its outcome, or nil; then who is replaced.
local here = {} -- id -> record, of this call
local function obstacle(id, record, where, asked, keys)
    local known = mode ~= 'fresh' and
        (here[id] or call('HGET', jobs, id) or
             (call('ZSCORE', gone, id) and 0))
    if known then
        return known
    end
    local key = asked and asked.u and match(asked.u, '^%a,%d+,(.*)$')
    local holder = key and (keys[key] or locks().holder(key))
    if holder then
        local replaces = byte(where) == 112 -- 'p'
        if not replaces or keys[key] or not can_replace(holder) then
            return '=' .. holder
        end
    end
    if closed then
        return -2
    elseif (len_left < 1 and not holder) or bytes_left < #record then
        return -1
    end
    if key then
        keys[key] = mode == 'all' and id or nil
    end
    return nil, holder
end

local outcomes, plain_reply = {}, mode == 'fresh'
local full, refused = false, false
local function look_at(a)
    local id, record, where = ARGV[a], ARGV[a + 2], ARGV[a + 3]
    local asked = asked_of[a]
    if asked and asked.u then
        where = sub(where, 2)
    end
    return id, record, where, asked
end

-- All or nothing: what stands in any job's way is found before the first write.
if mode == 'all' then
    local keys, left, bytes = {}, len_left, bytes_left
    for a = 2, #ARGV, 4 do
        local id, record, _, asked = look_at(a)
        local outcome = obstacle(id, record, ARGV[a + 3], asked, keys)
        here[id] = record
        outcomes[#outcomes + 1] = outcome or 1
        if outcome == -1 or outcome == -2 then
            full = true
        elseif not outcome then
            len_left, bytes_left = len_left - 1, bytes_left - #record
        elseif byte(ARGV[a + 3]) ~= 116 or byte(outcome) ~= 61 then -- 't', '='
            refused = true
        end
    end
    if full and not refused then
        outcomes = {}
    elseif refused then
        for i, outcome in ipairs(outcomes) do -- 1: it was not in the way
            outcomes[i] = (outcome == -1 or outcome == -2) and 1 or outcome
        end
        return {0, unpack(outcomes)}
    end
    here, len_left, bytes_left = {}, left, bytes
end

if not full then
    outcomes = {}
    local none = {}
    for a = 2, #ARGV, 4 do
        local id, record, where, asked = look_at(a)
        local outcome, replaced
        if asked or not plain_reply or closed or len_max or bytes_max then
            outcome, replaced = obstacle(id, record, ARGV[a + 3], asked, none)
        end
        if not outcome then
            stored = stored + 1
            stored_bytes = stored_bytes + #record
            len_left, bytes_left = len_left - 1, bytes_left - #record
            if replaced then
                replace(replaced)
            end
            store(id, record, where, ARGV[a + 1], asked)
            if not plain_reply then
                here[id] = record
            end
            outcome = replaced and '~' .. replaced or 1
        elseif outcome == -1 or outcome == -2 then
            full = true
        end
        outcomes[#outcomes + 1] = outcome
    end
end
if full and stored == 0 then
    local only = true
    for _, outcome in ipairs(outcomes) do
        only = only and (outcome == -1 or outcome == -2)
    end
    if only then
        local queue = match(base, '{([^{}]*)}:$')
        return redis.error_reply(closed and
            'CLOSED the queue ' .. queue .. ' takes no new jobs at present' or
            'FULL the queue ' .. queue .. ' has as many jobs waiting as it may')
    end
end
if plain_reply then
    for _, outcome in ipairs(outcomes) do
        plain_reply = plain_reply and outcome == 1
    end
    if plain_reply then
        outcomes = {}
    end
end
if stored == 0 then
    return {0, unpack(outcomes)}
end

if (checked.unlocks or 0) > 0 then
    locks().forget(UNLOCKS_MAX)
end
return write(outcomes)
