#!lua flags=allow-oom
-- work: finish attempts, reap lost leases, promote what is due, claim jobs.
--
-- KEYS[1] jobs    HASH  id -> record     KEYS[8]  done  ZSET  ids -> forget at
-- KEYS[2] state   HASH  id -> state      KEYS[9]  gone  ZSET  id -> since
-- KEYS[3] results HASH  id -> JSON       KEYS[10] quarantined ZSET id -> since
-- KEYS[4] progress HASH id -> JSON       KEYS[11] stats HASH  counters
-- KEYS[5] due     ZSET  entry -> due at  KEYS[12] wake  LIST  at most one token
-- KEYS[6] leased  ZSET  entry -> deadline  KEYS[13] waits HASH id -> channels
-- KEYS[7] dead    ZSET  id -> since      KEYS[14] meta  HASH  settings
-- KEYS[15..24]    ready LISTs of entries, priority 9 first
-- KEYS[25] retrying ZSET entry -> due at (due: those that never ran yet)
-- KEYS[26..38] what only jobs with options need, see include/ends.lua
-- All times are milliseconds of this server's clock. An entry is the priority
-- digit followed by the id. A member of done is the ids, separated by spaces,
-- of jobs that ended in one call with one retention: one member for up to 64
-- jobs costs a tenth of 64 members. How many ids it holds in all is `kept` in
-- stats.
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
-- ARGV[6] may be followed by a space and the time that the caller expects this
-- server's clock to show: from what it said last and the time that has passed
-- since, without that in which the server could not be reached.
--
-- Returns {now, next, more, nstale, stale token..., then per claimed job:
-- entry, record, again}: next is the ms until something falls due (-1:
-- nothing), more is 1 when ready jobs were left, plus 2 when messages lie in
-- the outbox. The n-th job claimed has the token "<worker>.<ARGV[4] + n>", n
-- from 0; again is "attempt retries crashes" as text; for a job that waited for
-- parents {that, {full id, end, ...}}, an end being a letter as in `state` with
-- the result behind it; or false for another that is claimed for the first
-- time.
--
-- A job with a limit key waits in the list key:<digit><limit key>; in its place
-- the ready list has a marker, digit, '=' and the key, one for all of them. A
-- marker that is popped gives one job and goes to the end of the list, so keys
-- take turns; while concurrency holds the key up there is no marker (turns: b),
-- while the rate does, the marker is in due (turns: d).
--
-- Invariants: an id is in one of ready (or its key's list), due, retrying,
-- leased, blocked, dead, done, quarantined. A finish whose token is not the one
-- in `state` changes nothing. wake has a token when ready jobs were left (and
-- nothing holds up the queue), and when something falls due sooner than
-- anything did before, or the queue's rate allows a start sooner. allow-oom,
-- because a worker must be able to drain a full server.
local jobs, state, results, progress = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local due, leased, dead, done = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local gone, quarantined, stats, wake = KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local waits, meta, retrying = KEYS[13], KEYS[14], KEYS[25]
local unlocks, blocked, outbox = KEYS[27], KEYS[31], KEYS[33]
local cancels, events, stale_set = KEYS[34], KEYS[35], KEYS[36]
local samples, logged = KEYS[37], KEYS[38]

-- No call takes Redis more than some 3 ms. What a call may do beside its
-- finishes and claims is counted in steps of 2 to 4 us: reaping takes first,
-- then what is due, then retention.
local STEPS_MAX = 400
local REAP_STEPS = 8     -- a lost lease
local PROMOTE_STEPS = 5  -- a due job that may have a limit key; a plain one: 1
local PROMOTE_MAX = 250  -- due jobs a call, of each set
local PURGE_MAX = 8      -- members of done that are forgotten a call
local PURGE_JOBS_MAX = 250 -- jobs that are forgotten a call
local STEPS_LEFT_MIN = 50 -- for each that comes later, whatever came before
local GONE_MAX = 10000   -- ids remembered as past their retention
local DROP_MAX = 100     -- entries a call that are popped and not given out
local TURN_DROPS = 3     -- the turn of a limit key costs as much as these
local REPLY_MAX = 1048576 -- bytes of records in one reply, and one step more
local INPUTS_MAX = 1048576 -- bytes of parents' results of one job
local LISTPACK_CLAIM = 8 -- claims a call from which `leased` is no listpack
local NO_LISTPACK = string.rep('-', 65) -- longer than zset-max-listpack-value
local PURGE_EVERY = 120000 -- an idle worker comes back for retention at most
local NEXT_MAX = 86400000 -- and after a day in any case
local SAMPLE_EVERY, SAMPLES_MAX = 10000, 90
local SEEN_EVERY = 1000 -- `seen` is no older while the queue is worked

-- include: need
local call, sub, byte, find = redis.call, string.sub, string.byte, string.find
local match = string.match
local base = sub(jobs, 1, -5)
-- include: clock
local ended_now = ' ' .. now_text .. '\n'
local want = tonumber(ARGV[1])

-- Functions that a call with plain jobs alone never needs are made when one is:
-- to make them for nothing costs as much as ten jobs.
local made = {}
local lengths = {} -- number of the key -> its length, see work_keys
local function options()
    if made.options then
        return made.options
    end
-- include: options
-- include: unique
-- include: ends
-- include: rate
    known.children, known.cancels = lengths[32] or 0, lengths[34] or 0
    known.turns = lengths[30] or 0
    made.options = {
        of = options_of, has_end = has_end, limit_of = limit_of,
        limit_key_of = limit_key_of, make_ready = make_ready,
        set_aside = set_aside, run_ended = run_ended, unlock = unlock,
        forget_locks = forget_locks, job_ended = job_ended, rate_of = rate_of,
        rate_wait = rate_wait, rate_start = rate_start, rate_keep = rate_keep,
    }
    return made.options
end

-- Nothing to finish and nothing there: the cheap way out of an idle worker.
if #ARGV == 6 then
    local busy = call('EXISTS', due, leased, outbox,
                      unpack(KEYS, 15, 25))
    if busy == 0 and call('EXISTS', unlocks) == 1 then
        local seen = tonumber(need('HGET', meta, 'seen') or 0)
        if seen > now + 5000 then
            busy = 1 -- the clock was set back: they are moved below
        else
            options().forget_locks(10)
        end
    end
    if busy == 0 then
        local oldest = need('ZRANGE', done, '0', '0', 'WITHSCORES')[2]
        if call('EXISTS', dead, quarantined) > 0 then
            -- They may be past their retention: that is looked at below.
        elseif not oldest then
            call('DEL', wake)
            return {now, -1, 0, 0}
        elseif tonumber(oldest) > now then
            call('DEL', wake)
            local wait = math.max(tonumber(oldest) - now, PURGE_EVERY)
            return {now, math.min(wait, NEXT_MAX), 0, 0}
        end
    end
end

-- include: work_keys

local counted = {}
local function count(name, n)
    counted[name] = (counted[name] or 0) + n
end

-- A table that need not grow while it is filled: growing costs more than that.
local NONE = {}
local function room(n)
    return {unpack(NONE, 1, n)}
end

local notes, notes_len = {}, 0
local function note(id, code, attempt)
    notes[notes_len + 1] = id
    notes[notes_len + 2] = code
    notes[notes_len + 3] = attempt .. '\n'
    notes_len = notes_len + 3
end

local function is_entry(entry)
    local digit = byte(entry)
    return digit and digit >= 48 and digit <= 57
end

-- include: states
local endings = {}             -- ids that ended, for waiters
local kept, forgotten = {}, {} -- keep in ms -> ids; ids that are dropped
local stale = {}
local finishes = #ARGV > 6 and (#ARGV - 6) / 2 or 0 -- no more than so many
local states, states_len = room(2 * (finishes + want)), 0 -- HSET state

local function put(id, code, s, ended)
    states[states_len + 1] = id
    states[states_len + 2] = format(code, s, ended)
    states_len = states_len + 2
    if watched then
        note(id, code, s.attempt)
    end
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

-- How attempts end that do not simply succeed.
local retries_from, retries_far = 0, 0 -- see work_clock
local function failures()
    if made.failures then
        return made.failures
    end
-- include: work_failures
    made.failures = {finish = finish, look_up = look_up,
                     quarantine = quarantine, again = again, cancel = cancel}
    return made.failures
end

-- 0. Was this server's clock set? Before the finishes, whose retries are due by
-- the new time.
local seen, moving = tonumber(set[8]), set[9]
local gap = seen and now - seen or SEEN_EVERY
local still_moving, may_reap = false, true
if gap >= SEEN_EVERY or gap < 0 or moving then
    need('HLEN', state) -- the finishes read it, but later
-- include: work_clock
end

-- 1. Finishes: id, where its words stand, keep time of a plain success; all
-- others have their letter instead.
local ids, keeps, at = room(finishes), room(finishes), room(finishes)
local letters = {}
local finishes_len = 0
do
    local a, n = 7, 0
    while a <= #ARGV do
        local how = ARGV[a]
        if how == 's' then
            local keep_ms = ARGV[a + 1]
            local last = a + 1 + 2 * tonumber(ARGV[a + 2])
            for first = a + 3, last, 2 do
                n = n + 1
                ids[n] = sub(ARGV[first], 2)
                keeps[n] = keep_ms
                at[n] = first
            end
            a = last + 2
        else
            n = n + 1
            ids[n], letters[n], at[n] = sub(ARGV[a + 1], 2), how, a + 1
            keeps[n] = ARGV[a + 3]
            a = a + ((how == 'f' or how == 't') and 6 or 5)
        end
    end
    finishes_len = n
end
if finishes_len > 0 then
    local texts = need('HMGET', state, unpack(ids, 1, finishes_len))
    local good, unleased, ended = room(finishes_len), room(finishes_len), 0
    -- What stands behind the token is the same for all that were claimed in one
    -- call and have no history: then there is nothing to take apart.
    local tails, tail, ended_tail = room(finishes_len), '\n', nil
    for i = 1, finishes_len do
        local text, first = texts[i], at[i]
        local token = ARGV[first + 1]
        local behind = #token + 3
        local code = text and byte(text)
        -- 'R' or 'r', then exactly this token.
        local good_one = (code == 82 or code == 114) and
            find(text, token, 3, true) == 3
        if good_one and find(text, tail, behind, true) ~= behind then
            good_one = match(text, '^ [^\n]*\n', behind)
            tail = good_one or tail
        end
        local letter = letters[i]
        if good_one and (not letter or letter == 'S' or parse(text)) then
            ended = ended + 1
            good[ended] = i
            tails[i] = tail
            unleased[ended] = ARGV[first]
        else
            texts[i] = false
        end
    end
    if ended > 0 and
        call('ZREM', leased, unpack(unleased, 1, ended)) < ended then
        -- The same finish twice in one call: the second is stale. Only looked
        -- for when fewer leases went than finishes were good.
        local seen, once = {}, {}
        for n = 1, ended do
            local i = good[n]
            if seen[ids[i]] then
                texts[i] = false
            else
                seen[ids[i]] = true
                once[#once + 1] = i
            end
        end
        good, ended = once, #once
    end
    tail = nil
    local produced, succeeded = {}, 0
    local one_keep, one_ids = nil, nil -- the list in kept of the last keep time
    local marked, records = nil, {} -- those that somebody must look at
    for n = 1, ended do
        if byte(texts[good[n]]) == 114 then
            marked = marked or {}
            marked[#marked + 1] = ids[good[n]]
        end
    end
    for n, record in ipairs(marked and call('HMGET', jobs, unpack(marked)) or
                            {}) do
        records[marked[n]] = record
    end
    for n = 1, ended do
        local i = good[n]
        local id, text, letter, keep_ms = ids[i], texts[i], letters[i], keeps[i]
        local job = byte(text) == 114 and
            failures().look_up(id, text, records[id])
        if not letter or letter == 'S' then
            local token = ARGV[at[i] + 1]
            local own_tail = tails[i]
            if own_tail ~= tail then
                tail = own_tail
                ended_tail = sub(tail, 1, -2) .. ended_now
            end
            states[states_len + 1] = id
            states[states_len + 2] = 'S ' .. token .. ended_tail ..
                sub(text, #token + 3 + #tail)
            states_len = states_len + 2
            if letter then
                produced[#produced + 1] = id
                produced[#produced + 1] = ARGV[at[i] + 3]
            end
            if keep_ms == one_keep and not waited then
                one_ids[#one_ids + 1] = id
            else
                keep(id, keep_ms)
                one_ids = kept[keep_ms]
                one_keep = one_ids and keep_ms
            end
            succeeded = succeeded + 1
            if watched then
                note(id, 'S', match(text, '^%a %S+ (%d+)') or 0)
            end
            if job then
                options().job_ended(id, 'S', job.record, job.options, text,
                                    letter and ARGV[at[i] + 3] or '', '')
            end
        else
            failures().finish(letter, ARGV[at[i]], id, parse(text), keep_ms,
                              ARGV[at[i] + 3], tonumber(ARGV[at[i] + 4]), job)
        end
    end
    if ended < finishes_len then
        for i = 1, finishes_len do
            if not texts[i] then
                stale[#stale + 1] = ARGV[at[i] + 1]
            end
        end
    end
    if succeeded > 0 then
        count('succeeded', succeeded)
    end
    if #produced > 0 then
        call('HSET', results, unpack(produced))
        results_len = results_len + #produced
    end
end

local function flush_states()
    if states_len > 0 then
        call('HSET', state, unpack(states, 1, states_len))
        states_len = 0
    end
end

local steps = STEPS_MAX
local function steps_left(cost)
    return math.floor(math.max(steps, STEPS_LEFT_MIN) / cost)
end

-- 2. Leases that ran out: their worker is gone or too late.
if leased_head and leased_head <= now and may_reap then
    local lapsed =
        call('ZRANGEBYSCORE', leased, '-inf', now_text, 'LIMIT', '0',
             steps_left(REAP_STEPS))
    steps = steps - REAP_STEPS * #lapsed
    flush_states()
    local seen = {}
    for _, entry in ipairs(lapsed) do
        local id = sub(entry, 2)
        local text = not seen[id] and call('HGET', state, id)
        seen[id] = true
        local code = text and byte(text)
        local s = (code == 82 or code == 114) and is_entry(entry) and
            parse(text)
        local record = s and call('HGET', jobs, id)
        if record then
            local job = code == 114 and failures().look_up(id, text, record)
            count('lost', 1)
            s.lost = s.lost + 1
            if job and job.cancelled then
                local keep_ms = job.options.k or '3600000'
                failures().cancel(id, s, keep_ms,
                                  '"lost while it was being cancelled"', job)
            else
                remember(s, 'l', '')
                if s.lost >= tonumber(match(ARGV[6], '^%d+')) then
                    failures().quarantine(id, s, job and job.options)
                else
                    failures().again(entry, id, s, job and job.options)
                end
            end
        else
            count('rubbish', 1)
        end
    end
    if #lapsed > 0 then
        call('ZREM', leased, unpack(lapsed))
    end
end

-- 3. What is due becomes ready, in the order in which it fell due.
local moved = false -- did anything?
if (due_head and due_head <= now) or
    (retrying_head and retrying_head <= now) then
    -- A limit key's marker comes back; its jobs stand in the key's list.
    local function promote_marker(entry)
        local name = sub(entry, 1, 1) .. sub(entry, 3)
        if call('HGET', base .. 'turns', name) == 'd' then
            call('HSET', base .. 'turns', name, 'r')
            count('held', -1)
            return true
        end
    end
    local function promote(set)
        local cost = keyed and PROMOTE_STEPS or 1
        local fallen =
            call('ZRANGEBYSCORE', set, '-inf', now_text, 'LIMIT', '0',
                 math.min(PROMOTE_MAX, steps_left(cost)))
        if #fallen == 0 then
            return
        end
        steps = steps - cost * #fallen
        moved = true
        call('ZREM', set, unpack(fallen))
        local records = {}
        if keyed then
            local names = {}
            for i, entry in ipairs(fallen) do
                names[i] = sub(entry, 2)
            end
            records = call('HMGET', jobs, unpack(names))
        end
        local by_list = {}
        for i, entry in ipairs(fallen) do
            local list = is_entry(entry) and KEYS[72 - byte(entry)]
            local asked = records[i] and byte(records[i], 3) == 43 and
                options().of(records[i])
            if not list then
                count('rubbish', 1)
            elseif asked and asked.l then
                options().make_ready(entry, asked)
            elseif byte(entry, 2) ~= 61 or promote_marker(entry) then
                by_list[list] = by_list[list] or {}
                table.insert(by_list[list], entry)
            end
        end
        for list, entries in pairs(by_list) do
            call('RPUSH', list, unpack(entries))
        end
    end
    if due_head and due_head <= now then
        promote(due)
        due_head = head_of(due)
    end
    if retrying_head and retrying_head <= now then
        promote(retrying)
        retrying_head = head_of(retrying)
    end
end

-- Are the ready lists as they were measured, but for what was popped?
local function as_measured()
    return not (moved or made.failures or made.options)
end
if not as_measured() then
    flush_states()
end

-- 4. Claims, highest priority first, as many as the queue's own limits allow.
local may = want -- how many
local open = not paused -- is there anything that this queue may start?
local queue_rate, rate_next
if concurrency and open then
    may = math.min(may, concurrency - call('ZCARD', leased))
    open = call('ZCARD', leased) < concurrency
end
if set[6] and open then
    local n, period = match(set[6], '^(%d+)/(%d+)$')
    queue_rate = n and tonumber(n) > 0 and options().rate_of(' ', n, period)
    local rate_before = queue_rate and options().rate_wait(queue_rate)
    if rate_before and rate_before > 0 and ready_lists > 0 then
        due_before = sooner(due_before, now + rate_before)
    end
end

local answer, answer_start = room(4 + #stale + 3 * may), 4 + #stale
answer[1], answer[2], answer[3], answer[4] = now, -1, 0, #stale
for i = 1, #stale do
    answer[4 + i] = stale[i]
end
local answer_len = answer_start
local claimed, bytes = 0, 0
local bytes_again = 0 -- of jobs that had left the count of what waits before
local leases = room(2 * may)
-- Ids that took the detour; how many were dropped; whether an entry's digit was
-- not its record's: then the same job may stand in two lists, by hand.
local taken, dropped, odd = {}, 0, false
local token_number = tonumber(ARGV[4])
local lease_until = string.format('%d', now + tonumber(ARGV[2]))
local token_stem = ARGV[3] .. '.'
local first_claim = ' 1 0 0 0 ' .. ARGV[3] .. ' ' .. now_text .. '\n'

-- The last two digits of numbers above 99. Lua's own number to text goes
-- through printf, which costs more than all else that is done for a claim.
local PAIRS
local function pairs_of_digits()
    return {
        '00', '01', '02', '03', '04', '05', '06', '07', '08', '09',
        '10', '11', '12', '13', '14', '15', '16', '17', '18', '19',
        '20', '21', '22', '23', '24', '25', '26', '27', '28', '29',
        '30', '31', '32', '33', '34', '35', '36', '37', '38', '39',
        '40', '41', '42', '43', '44', '45', '46', '47', '48', '49',
        '50', '51', '52', '53', '54', '55', '56', '57', '58', '59',
        '60', '61', '62', '63', '64', '65', '66', '67', '68', '69',
        '70', '71', '72', '73', '74', '75', '76', '77', '78', '79',
        '80', '81', '82', '83', '84', '85', '86', '87', '88', '89',
        '90', '91', '92', '93', '94', '95', '96', '97', '98', '99',
    }
end

-- The text of a token's number.
local hundreds, hundreds_text
local function number_text(number)
    if number < 100 then
        return string.format('%d', number)
    end
    PAIRS = PAIRS or pairs_of_digits()
    local low = number % 100
    if hundreds ~= number - low then
        hundreds = number - low
        hundreds_text = string.format('%d', hundreds / 100)
    end
    return hundreds_text .. PAIRS[low + 1]
end

local stale_there = lengths[36]
local tails = {} -- markers that go to the end of the list
-- How a job is claimed that is not plain, or did run before.
local function detour()
    if made.detour then
        return made.detour
    end
-- include: work_detours
    made.detour = {claim = claim, drop_doubles = drop_doubles,
                   head_of_key = head_of_key}
    return made.detour
end

local left = want == 0 or may <= 0 -- whether to look for what was left
local popped_len = 0
if may > 0 and open then
    for k = 15, 24 do
        local list, digit = KEYS[k], 72 - k
        local plain = nil -- priority and flag of a plain job
        while claimed < may and bytes < REPLY_MAX and dropped < DROP_MAX and
            (lengths[k] or not as_measured()) do
            if queue_rate and options().rate_wait(queue_rate) > 0 then
                break
            end
            -- Small steps until the records' size is known, and while they are
            -- large, so that no reply grows huge; one by one where each start
            -- may be the last.
            local step = may - claimed
            if queue_rate then
                step = 1
            elseif bytes > 65536 then
                step = math.min(step, 4)
            elseif claimed == 0 then
                step = math.min(step, 8)
            end
            if keyed then -- no marker is popped that cannot have its turn
                local turns = math.ceil((DROP_MAX - dropped) / TURN_DROPS)
                step = math.min(step, turns)
            end
            local popped = call('LPOP', list, step)
            local n = popped and #popped or 0
            if n == 0 then
                break
            end
            plain = plain or (24 - k) .. '-'
            popped_len = popped_len + n
            local names = room(n)
            for i = 1, n do
                names[i] = sub(popped[i], 2)
                if byte(popped[i], 2) == 61 then -- '=': who is next of a key
                    names[i] = detour().head_of_key(popped[i]) or names[i]
                end
            end
            local records = call('HMGET', jobs, unpack(names, 1, n))
            local texts = call('HMGET', state, unpack(names, 1, n))
            for i = 1, n do
                local entry, record = popped[i], records[i]
                if record and not texts[i] and
                    find(record, plain, 2, true) == 2 and
                    byte(entry) == digit and byte(entry, 2) ~= 61 and
                    not (stale_there or watched or queue_rate or odd) then
                    -- A plain job that never ran, without any detour.
                    local low = token_number % 100
                    states[states_len + 1] = names[i]
                    if token_number - low == hundreds then
                        states[states_len + 2] = 'R ' .. token_stem ..
                            hundreds_text .. PAIRS[low + 1] .. first_claim
                    else
                        states[states_len + 2] = 'R ' .. token_stem ..
                            number_text(token_number) .. first_claim
                    end
                    states_len = states_len + 2
                    leases[2 * claimed + 1] = lease_until
                    leases[2 * claimed + 2] = entry
                    answer[answer_len + 1] = entry
                    answer[answer_len + 2] = record
                    answer[answer_len + 3] = false
                    answer_len = answer_len + 3
                    token_number = token_number + 1
                    claimed = claimed + 1
                    bytes = bytes + #record
                else
                    detour().claim(entry, names[i], record, texts[i])
                end
            end
            if #tails > 0 then -- keys whose turn it was
                call('RPUSH', list, unpack(tails))
                tails = {}
            end
        end
        left = claimed >= may or bytes >= REPLY_MAX or dropped >= DROP_MAX
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
    if call('ZADD', leased, unpack(leases, 1, 2 * claimed)) < claimed then
        detour().drop_doubles()
    end
    if small then
        call('ZREM', leased, NO_LISTPACK)
    end
end
flush_states()
if queue_rate then
    if claimed > 0 then
        options().rate_keep(queue_rate)
    end
    rate_next = options().rate_wait(queue_rate)
    open = rate_next == 0
end
if concurrency and open then
    open = call('ZCARD', leased) < concurrency
end

-- 5. Retention.
-- include: work_retention

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

if bytes_waiting then
    local wait = call('EXISTS', blocked, due, unpack(KEYS, 15, 25)) > 0
    count('bytes', bytes_again - bytes)
    if not wait or bytes_waiting + counted.bytes <= 0 then
        call('HDEL', stats, 'bytes')
        counted.bytes = nil
    end
end
local counted_any = next(counted)
if counted.succeeded and counted.kept then -- as of most calls: one command
    call('HSET', stats, 'kept', string.format('%d', done_len + counted.kept),
         'succeeded',
         string.format('%d', (tonumber(totals[4]) or 0) + counted.succeeded))
    counted.kept, counted.succeeded = nil, nil
end
for name, n in pairs(counted) do
    call('HINCRBY', stats, name, n)
end
if notes_len > 0 then
    call('XADD', events, 'MAXLEN', '~', '1000', '*', 'e',
         (string.gsub(table.concat(notes, ' '), '\n ', '\n')))
end
-- What happened in the last 10 s, for rates.
if now - sampled >= SAMPLE_EVERY and (claimed > 0 or counted_any) then
    local names = {'enqueued', 'succeeded', 'failed', 'dead', 'cancelled',
                   'expired', 'timeout', 'crashed', 'lost'}
    local words = call('HMGET', stats, unpack(names))
    for i = 1, #names do
        words[i] = words[i] or '0'
    end
    call('LPUSH', samples, now_text .. ' ' .. table.concat(words, ' '))
    call('LTRIM', samples, 0, SAMPLES_MAX - 1)
end

-- 7. The wake token, and when to come back. Whoever sleeps has a timer for what
-- fell due next when it last asked: only an earlier time is news, and one of
-- the others must hear of it, since this caller may die before that time.
local ready_left = false
if (left or rate_next) and as_measured() then
    for k = 15, 24 do
        popped_len = popped_len - (lengths[k] or 0)
    end
    ready_left = popped_len < 0
elseif left or rate_next then
    ready_left = call('EXISTS', unpack(KEYS, 15, 24)) > 0
end
left = left and open and ready_left
local due_next = sooner(sooner(due_head, retrying_head), head_of(leased))
if still_moving then
    due_next = now
end
if ready_left and rate_next and rate_next > 0 then
    due_next = sooner(due_next, now + rate_next)
end
if left or (due_next and (not due_before or due_next < due_before)) then
    if token_there == 0 then
        call('RPUSH', wake, '1')
    end
elseif token_there > 0 and not due_next then
    call('DEL', wake)
end

local wait = due_next and math.max(due_next - now, 0) or -1
if done_head then
    local purge = done_head <= now and 0 or
        math.max(done_head - now, PURGE_EVERY)
    wait = wait < 0 and purge or math.min(wait, purge)
end

answer[2] = math.min(wait, NEXT_MAX)
-- A stream whose last message was delivered is there still, and empty.
local messages = (lengths[33] or there > 0 or made.options) and
    call('EXISTS', outbox) == 1
if messages and call('XLEN', outbox) == 0 then
    call('DEL', outbox)
    messages = false
end
answer[3] = (left and 1 or 0) + (messages and 2 or 0)
return answer
