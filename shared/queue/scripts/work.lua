#!lua flags=allow-oom
-- work: finish attempts, reap lost leases, promote what is due, claim jobs.
--
-- KEYS[1] jobs    HASH  id -> record     KEYS[8]  done  ZSET  ids -> forget at
-- KEYS[2] state   HASH  id -> state      KEYS[9]  gone  ZSET  id -> forgotten at
-- KEYS[3] results HASH  id -> JSON       KEYS[10] quarantined  ZSET  id -> since
-- KEYS[4] progress HASH id -> JSON       KEYS[11] stats HASH  counters
-- KEYS[5] due     ZSET  entry -> due at  KEYS[12] wake  LIST  at most one token
-- KEYS[6] leased  ZSET  entry -> deadline  KEYS[13] waits HASH id -> channels
-- KEYS[7] dead    ZSET  id -> since      KEYS[14] meta  HASH  settings
-- KEYS[15..24]    ready LISTs of entries, priority 9 first
-- KEYS[25] retrying ZSET entry -> due at (due: those that never ran yet)
-- All times are milliseconds of this server's clock. An entry is the priority
-- digit followed by the id. A member of done is the ids, separated by spaces, of
-- jobs that ended in one call with one retention: one member for up to 64 jobs
-- costs a tenth of 64 members. How many ids it holds in all is `kept` in stats.
--
-- ARGV[1] how many to claim, 0..64    ARGV[4] number of the first new token
-- ARGV[2] lease in ms                 ARGV[5] crashes that quarantine
-- ARGV[3] worker's name               ARGV[6] lost leases that quarantine
-- ARGV[7..]  finishes, each one of
--   s keep n, n times (entry token)       succeeded without a result
--   S entry token keep result             succeeded with one (JSON)
--   f|t entry token keep message delay    failed, timed out; delay < 0: dead
--   c entry token keep message            its child crashed
--   x entry token keep message            cancelled while it ran
--   r entry token keep message            handed back, as if never claimed
--
-- Returns {now, next, more, nstale, stale token..., then per claimed job: entry,
-- record, again}: next is the ms until something falls due (-1: nothing), more
-- is 1 when ready jobs were left. The n-th job claimed has the token
-- "<worker>.<ARGV[4] + n>", n from 0; again is "attempt retries crashes" as text,
-- or false for a job that is claimed for the first time.
--
-- Invariants: an id is in one of ready, due, retrying, leased, dead, done,
-- quarantined. A finish whose token is not the one in `state` changes nothing.
-- wake has a token when ready jobs were left (and the queue is not paused), and
-- when something falls due sooner than anything did before. allow-oom, because a
-- worker must be able to drain a full server.
local jobs, state, results, progress = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local due, leased, dead, done = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local gone, quarantined, stats, wake = KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local waits, meta, retrying = KEYS[13], KEYS[14], KEYS[25]

local PROMOTE_MAX = 500  -- due jobs a call
local REAP_MAX = 100     -- lost leases a call
local PURGE_MAX = 10     -- members of done that are forgotten a call
local PURGE_JOBS_MAX = 500 -- jobs that are forgotten a call
local GONE_MAX = 10000   -- ids remembered as past their retention
local HISTORY_MAX = 20   -- attempts kept
local DROP_MAX = 100     -- expired jobs and rubbish taken off ready lists a call
local REPLY_MAX = 4194304 -- bytes of records in one reply, and one step more
local LISTPACK_CLAIM = 8 -- claims a call from which `leased` is no listpack
local NO_LISTPACK = string.rep('-', 65) -- longer than zset-max-listpack-value
local PURGE_EVERY = 120000 -- an idle worker comes back for retention at most
local NEXT_MAX = 86400000 -- and after a day in any case

local call, sub, byte, find = redis.call, string.sub, string.byte, string.find
-- include: clock
local ended_now = ' ' .. now_text .. '\n'
local want = tonumber(ARGV[1])

-- Nothing to finish and nothing there: the cheap way out of an idle worker.
if #ARGV == 6 then
    local busy = call('EXISTS', due, leased, unpack(KEYS, 15, 25))
    if busy == 0 then
        local oldest = call('ZRANGE', done, 0, 0, 'WITHSCORES')[2]
        if not oldest then
            call('DEL', wake)
            return {now, -1, 0, 0}
        elseif tonumber(oldest) > now then
            call('DEL', wake)
            local wait = math.max(tonumber(oldest) - now, PURGE_EVERY)
            return {now, math.min(wait, NEXT_MAX), 0, 0}
        end
    end
end

-- Reads of every key that may be written: a wrong type ends the script here.
for _, key in ipairs({jobs, state, stats}) do
    call('HLEN', key)
end
local results_len = call('HLEN', results)
local progress_len = call('HLEN', progress)
for _, key in ipairs({dead, gone, quarantined}) do
    call('ZCARD', key)
end
-- When something falls due (a job, a retry, a lease), or nil.
local function next_due()
    local soonest
    for _, key in ipairs({due, retrying, leased}) do
        local at = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
        if at and (not soonest or at < soonest) then
            soonest = at
        end
    end
    return soonest
end
local due_before = next_due()
for k = 15, 24 do
    call('LLEN', KEYS[k])
end
local token_there = call('LLEN', wake)
local waited = call('HLEN', waits) > 0
local done_groups = call('ZCARD', done)
local done_len = tonumber(call('HGET', stats, 'kept')) or 0
local set = call('HMGET', meta, 'paused', 'done_max', 'dead_max', 'dead_ms')
local paused = set[1] == '1'
local done_max = tonumber(set[2]) or 100000
local dead_max = tonumber(set[3]) or 10000
local dead_ms = tonumber(set[4]) or 2592000000 -- 30 days

local counted = {}
local function count(name, n)
    counted[name] = (counted[name] or 0) + n
end

local function ready_list(entry)
    local digit = byte(entry)
    return digit and digit >= 48 and digit <= 57 and KEYS[72 - digit]
end

-- The state's first line is
--   code token attempt retries crashes lost worker started[ ended]
-- and each line after it one ended attempt:
--   number outcome started ended worker message
local function parse(text)
    local token, attempt, retries, crashes, lost, worker, started = string.match(
        text, '^%u (%S+) (%d+) (%d+) (%d+) (%d+) (%S+) (%d+)')
    if not token then
        return nil
    end
    return {token = token, attempt = tonumber(attempt),
            retries = tonumber(retries), crashes = tonumber(crashes),
            lost = tonumber(lost), worker = worker, started = started,
            history = sub(text, (find(text, '\n', 1, true) or #text) + 1)}
end

local function format(code, s, ended)
    return code .. ' ' .. s.token .. ' ' .. s.attempt .. ' ' .. s.retries ..
        ' ' .. s.crashes .. ' ' .. s.lost .. ' ' .. s.worker .. ' ' ..
        s.started .. (ended and ' ' .. now_text or '') .. '\n' .. s.history
end

local function remember(s, outcome, message)
    local _, lines = string.gsub(s.history, '\n', '')
    if lines >= HISTORY_MAX then
        s.history = sub(s.history, find(s.history, '\n', 1, true) + 1)
    end
    s.history = s.history .. s.attempt .. ' ' .. outcome .. ' ' .. s.started ..
        ' ' .. now_text .. ' ' .. s.worker .. ' ' .. message .. '\n'
end

local states, endings = {}, {} -- HSET state; ids that ended, for waiters
local kept, forgotten = {}, {} -- keep in ms -> ids; ids that are dropped
local unleased = {}
local stale = {}

local states_len = 0
local function put(id, text)
    states[states_len + 1] = id
    states[states_len + 2] = text
    states_len = states_len + 2
end

local function keep(id, ms)
    if waited then
        endings[#endings + 1] = id
    end
    if ms == '0' then
        forgotten[#forgotten + 1] = id
        return
    end
    local ids = kept[ms]
    if not ids then
        ids = {}
        kept[ms] = ids
    end
    ids[#ids + 1] = id
end

local function quarantine(id, s)
    call('ZADD', quarantined, now, id)
    put(id, format('Q', s, true))
    endings[#endings + 1] = id
    count('quarantined', 1)
end

local function again(entry, id, s)
    call('LPUSH', ready_list(entry) or KEYS[19], entry)
    put(id, format('W', s))
end

-- Everything but success, which is the short way in the loop below.
local function finish(how, entry, id, s, keep_ms, message, delay)
    if how == 'f' or how == 't' then
        count(how == 'f' and 'failed' or 'timeout', 1)
        remember(s, how, message)
        if delay < 0 then
            call('ZADD', dead, now, id)
            put(id, format('D', s, true))
            endings[#endings + 1] = id
            count('dead', 1)
        else
            s.retries = s.retries + 1
            call('ZADD', retrying, now + delay, entry)
            put(id, format('W', s))
            count('retried', 1)
        end
    elseif how == 'c' then
        count('crashed', 1)
        remember(s, how, message)
        s.crashes = s.crashes + 1
        if s.crashes >= tonumber(ARGV[5]) then
            quarantine(id, s)
        else
            again(entry, id, s)
        end
    elseif how == 'x' then
        count('cancelled', 1)
        remember(s, how, message)
        put(id, format('C', s, true))
        keep(id, keep_ms)
    else -- 'r'
        count('released', 1)
        s.attempt = s.attempt - 1
        again(entry, id, s)
    end
end

-- 1. Finishes. Two passes: the states of all, then each by its token.
local ids, entries, tokens, hows, at = {}, {}, {}, {}, {}
local seen = {} -- ids whose attempt was ended by this call
do
    local a, n = 7, 0
    local function add(how, first)
        n = n + 1
        hows[n], at[n] = how, first
        entries[n], tokens[n] = ARGV[first], ARGV[first + 1]
        ids[n] = sub(entries[n], 2)
    end
    while a <= #ARGV do
        local how = ARGV[a]
        if how == 's' then
            local last = a + 1 + 2 * tonumber(ARGV[a + 2])
            for first = a + 3, last, 2 do
                add(ARGV[a + 1], first)
            end
            a = last + 2
        else
            add(how, a + 1)
            a = a + ((how == 'f' or how == 't') and 6 or 5)
        end
    end
end
if #ids > 0 then
    local texts = call('HMGET', state, unpack(ids))
    local produced, succeeded, ended = {}, 0, 0
    for i = 1, #ids do -- ipairs() is a call of C for each
        local id, text, token, how = ids[i], texts[i], tokens[i], hows[i]
        local line = text and find(text, '\n', 1, true)
        local plain = byte(how) <= 57 -- a keep time: succeeded
        local success = plain or how == 'S'
        local s = line and not success and parse(text)
        if seen[id] or not line or byte(text) ~= 82 or
            find(text, token, 3, true) ~= 3 or
            byte(text, #token + 3) ~= 32 or not (s or success) then
            stale[#stale + 1] = token
        else
            seen[id] = true
            ended = ended + 1
            unleased[ended] = entries[i]
            if success then
                if line == #text then
                    put(id, 'S' .. sub(text, 2, -2) .. ended_now)
                else
                    put(id, 'S' .. sub(text, 2, line - 1) .. ended_now ..
                        sub(text, line + 1))
                end
                keep(id, plain and how or ARGV[at[i] + 2])
                if not plain then
                    produced[#produced + 1] = id
                    produced[#produced + 1] = ARGV[at[i] + 3]
                end
                succeeded = succeeded + 1
            else
                finish(how, entries[i], id, s, ARGV[at[i] + 2],
                       ARGV[at[i] + 3], tonumber(ARGV[at[i] + 4]))
            end
        end
    end
    if succeeded > 0 then
        count('succeeded', succeeded)
    end
    if ended > 0 then
        call('ZREM', leased, unpack(unleased))
    end
    if #produced > 0 then
        call('HSET', results, unpack(produced))
        results_len = results_len + #produced
    end
end

-- 2. Leases that ran out: their worker is gone or too late.
local lapsed = call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, REAP_MAX)
for _, entry in ipairs(lapsed) do
    local id = sub(entry, 2)
    local text = call('HGET', state, id)
    local s = text and byte(text) == 82 and ready_list(entry) and
        not seen[id] and parse(text)
    if s and call('HEXISTS', jobs, id) == 1 then
        seen[id] = true
        count('lost', 1)
        remember(s, 'l', '')
        s.lost = s.lost + 1
        if s.lost >= tonumber(ARGV[6]) then
            quarantine(id, s)
        else
            again(entry, id, s)
        end
    else
        count('rubbish', 1)
    end
end
if #lapsed > 0 then
    call('ZREM', leased, unpack(lapsed))
end

-- 3. What is due becomes ready, in the order in which it fell due.
local function promote(set)
    local fallen =
        call('ZRANGEBYSCORE', set, '-inf', now_text, 'LIMIT', 0, PROMOTE_MAX)
    if #fallen == 0 then
        return
    end
    local by_list = {}
    for _, entry in ipairs(fallen) do
        local list = ready_list(entry)
        if list then
            by_list[list] = by_list[list] or {}
            table.insert(by_list[list], entry)
        else
            count('rubbish', 1)
        end
    end
    for list, entries in pairs(by_list) do
        call('RPUSH', list, unpack(entries))
    end
    call('ZREM', set, unpack(fallen))
end
promote(due)
promote(retrying)

if states_len > 0 then
    call('HSET', state, unpack(states))
    states, states_len = {}, 0
end

-- 4. Claims, highest priority first.
local answer = {now, -1, 0, #stale, unpack(stale)} -- 2 and 3 are set last
local answer_len = #answer
local claimed, leases, bytes = 0, {}, 0
local taken, dropped = {}, 0 -- ids met in this call; how many do not run
local token_number = tonumber(ARGV[4])
local lease_until = string.format('%d', now + tonumber(ARGV[2]))

local token_stem = ARGV[3] .. '.'
local first_stem = 'R ' .. token_stem
local first_claim = ' 1 0 0 0 ' .. ARGV[3] .. ' ' .. now_text .. '\n'

local function claim(entry, id, record, text)
    taken[id] = true
    if byte(record, 3) == 43 then -- '+': has options that are looked at here
        local expires = string.match(record, '^[^\n]- e(%d+)')
        if expires and tonumber(expires) <= now then
            local keep_ms = string.match(record, '^[^\n]- k(%d+)')
            local s = text and parse(text) or
                {token = '-', attempt = 0, retries = 0, crashes = 0, lost = 0,
                 worker = '-', started = 0, history = ''}
            put(id, format('X', s, true))
            keep(id, keep_ms or '3600000')
            count('expired', 1)
            dropped = dropped + 1
            return
        end
    end
    local s = text and parse(text)
    local before = false
    if s then
        s.attempt = s.attempt + 1
        s.token = token_stem .. token_number
        s.worker, s.started = ARGV[3], now_text
        before = s.attempt .. ' ' .. s.retries .. ' ' .. s.crashes
        put(id, format('R', s))
    else
        -- Lua's own number to text is %.14g, through big numbers.
        put(id, string.format('%s%d%s', first_stem, token_number, first_claim))
    end
    leases[2 * claimed + 1] = lease_until
    leases[2 * claimed + 2] = entry
    answer[answer_len + 1] = entry
    answer[answer_len + 2] = record
    answer[answer_len + 3] = before
    answer_len = answer_len + 3
    token_number = token_number + 1
    claimed = claimed + 1
    bytes = bytes + #record
end

local left = want == 0 -- whether to look for what was left
if want > 0 and not paused then
    for k = 15, 24 do
        while claimed < want and bytes < REPLY_MAX and dropped < DROP_MAX do
            -- Small steps until the records' size is known, and while they are
            -- large, so that no reply grows huge.
            local step = want - claimed
            if bytes > 65536 then
                step = math.min(step, 4)
            elseif claimed == 0 then
                step = math.min(step, 8)
            end
            local popped = call('LPOP', KEYS[k], step)
            if not popped or #popped == 0 then
                break
            end
            local names = {}
            for i = 1, #popped do
                names[i] = sub(popped[i], 2)
            end
            local records = call('HMGET', jobs, unpack(names))
            local texts = call('HMGET', state, unpack(names))
            for i = 1, #popped do
                local entry, id = popped[i], names[i]
                local code = texts[i] and byte(texts[i])
                if not records[i] then
                    -- A deleted job leaves its entry behind; the rest is rubbish.
                    count('skipped', 1)
                    dropped = dropped + 1
                elseif taken[id] or (code and code ~= 87) or
                    not ready_list(entry) then
                    -- Only 'W' waits here, once, behind its priority's digit.
                    count('rubbish', 1)
                    dropped = dropped + 1
                else
                    claim(entry, id, records[i], texts[i])
                end
            end
        end
        left = claimed >= want or bytes >= REPLY_MAX or dropped >= DROP_MAX
        if left then
            break
        end
    end
end
if claimed > 0 then
    -- A listpack, which Redis keeps a small set in, is read from its front for
    -- every entry that is added: 3 us a job. A member that is too long for one
    -- makes it a skiplist for as long as it is not empty.
    local small = claimed > LISTPACK_CLAIM and call('ZCARD', leased) <= 128
    if small then
        call('ZADD', leased, lease_until, NO_LISTPACK)
    end
    call('ZADD', leased, unpack(leases))
    if small then
        call('ZREM', leased, NO_LISTPACK)
    end
end
if states_len > 0 then
    call('HSET', state, unpack(states))
end

-- 5. Retention: by age, then by count.
-- A set that was removed by hand is counted anew.
local kept_change = done_groups == 0 and -done_len or 0
for ms, ids in pairs(kept) do
    call('ZADD', done, string.format('%d', now + tonumber(ms)),
         table.concat(ids, ' '))
    kept_change = kept_change + #ids
end
local function forget(groups)
    for _, group in ipairs(groups) do
        if #forgotten >= PURGE_JOBS_MAX then
            break
        end
        call('ZREM', done, group)
        for id in string.gmatch(group, '%S+') do
            forgotten[#forgotten + 1] = id
            kept_change = kept_change - 1
        end
    end
end
forget(call('ZRANGEBYSCORE', done, '-inf', now_text, 'LIMIT', 0, PURGE_MAX))
while done_len + kept_change > done_max and #forgotten < PURGE_JOBS_MAX do
    local oldest = call('ZRANGE', done, 0, 0)
    if #oldest == 0 then
        kept_change = -done_len
        break
    end
    forget(oldest)
end
if kept_change ~= 0 then
    count('kept', kept_change)
end
if counted.dead then
    local old = call('ZRANGEBYSCORE', dead, '-inf', now - dead_ms, 'LIMIT', 0,
                     PURGE_JOBS_MAX)
    local over = call('ZCARD', dead) - dead_max
    if #old == 0 and over > 0 then
        old = call('ZRANGE', dead, 0, math.min(over, PURGE_JOBS_MAX) - 1)
    end
    if #old > 0 then
        call('ZREM', dead, unpack(old))
        for _, id in ipairs(old) do
            forgotten[#forgotten + 1] = id
        end
    end
end
if #forgotten > 0 then
    call('HDEL', jobs, unpack(forgotten))
    call('HDEL', state, unpack(forgotten))
    if results_len > 0 then
        call('HDEL', results, unpack(forgotten))
    end
    if progress_len > 0 then
        call('HDEL', progress, unpack(forgotten))
    end
    local marks = {}
    for i, id in ipairs(forgotten) do
        marks[2 * i - 1] = now_text
        marks[2 * i] = id
    end
    call('ZADD', gone, unpack(marks))
    call('ZREMRANGEBYRANK', gone, 0, -GONE_MAX - 1)
end

-- 6. Who waits for an end hears of it.
if waited and #endings > 0 then
    local channels = call('HMGET', waits, unpack(endings))
    for i, id in ipairs(endings) do
        for channel in string.gmatch(channels[i] or '', '%S+') do
            call('PUBLISH', channel, id)
        end
        if channels[i] then
            call('HDEL', waits, id)
        end
    end
end

for name, n in pairs(counted) do
    call('HINCRBY', stats, name, n)
end

-- 7. The wake token, and when to come back. Whoever sleeps has a timer for what
-- fell due next when it last asked: only an earlier time is news, and one of the
-- others must hear of it, since this caller may die before that time.
left = left and not paused and call('EXISTS', unpack(KEYS, 15, 24)) > 0
local due_next = next_due()
if left or (due_next and (not due_before or due_next < due_before)) then
    if token_there == 0 then
        call('RPUSH', wake, '1')
    end
elseif token_there > 0 and not due_next then
    call('DEL', wake)
end

local wait = due_next and math.max(due_next - now, 0) or -1
local oldest = tonumber(call('ZRANGE', done, 0, 0, 'WITHSCORES')[2])
if oldest then
    local purge = oldest <= now and 0 or math.max(oldest - now, PURGE_EVERY)
    wait = wait < 0 and purge or math.min(wait, purge)
end

answer[2], answer[3] = math.min(wait, NEXT_MAX), left and 1 or 0
return answer
