#!lua
-- schedule_fire: enqueue the jobs of schedules that are due, each time once.
--
-- KEYS[1] schedules HASH  name -> JSON: {"version":N,...,"record":"..."}
-- KEYS[2] fires     ZSET  name -> when it fires next (ms, this server's clock)
-- KEYS[3] fired     HASH  name -> see below
-- KEYS[4] jobs      HASH  local id -> record
-- KEYS[5] state     HASH  local id -> state
-- KEYS[6] gone      ZSET  local id -> when it was forgotten
-- KEYS[7] stats     HASH  counters
-- KEYS[8] wake      LIST  at most one token: "there may be ready jobs"
-- KEYS[9] meta      HASH  settings of the queue
-- KEYS[10..19]      ready LISTs, priority 9 first
-- ARGV  per schedule: name, version, the nominal time `fired` says, the next
--       nominal time, when that is fired ("-" and "-": never), how many steps,
--       and per step: nominal time, when it is fired, and 0; or the first
--       nominal time that was missed, any number, and how many were missed
--
-- The text in fired: "<nominal> <buffered> <last job>\n", where nominal is the
-- next time that nobody has dealt with ("-": none), buffered the nominal time
-- of a fire that waits for the end of the last job (0: none), last job a local
-- id ("-": none); then the newest 20 fires, the newest last, each a line
-- "<nominal> <when> <what> <word>": what is
--   e enqueued    word is the job's local id
--   t triggered   by hand, the same
--   s skipped     the job before had not ended, or another job holds the
--                 unique key; word "-"
--   m missed      word is how many times, from nominal on
--   c refused     the queue is closed, or full; word "-"
--
-- Returns {now, flags, n, ...}: flags is 1 when these are the queue's first
-- jobs ever, and 2 more when the outbox has something to be delivered; n per
-- schedule: how many jobs were stored, or -1: it has changed, somebody else was
-- faster, or it is not due yet. Nothing of that schedule was changed then: a
-- fire is a compare-and-set on version and nominal time, judged by this
-- server's clock. The job's id follows from schedule and nominal time.
-- include: need
-- include: clock
-- include: schedule_keys
local RECHECK_MIN, RECHECK_MAX = 250, 15000 -- ms, while a fire waits
-- include: room
-- include: events
-- include: options
-- include: unique
-- include: schedule_job
-- include: retry_record

-- What the text of one schedule says, and what becomes of it.
local function open(name, score)
    local text = call('HGET', fired, name)
    local nominal, buffered, last, lines =
        match(text or score .. ' 0 -\n', '^(%S+) (%d+) (%S+)\n(.*)$')
    return {nominal = nominal, buffered = tonumber(buffered), last = last,
            lines = lines}
end

local function say(s, nominal, what, word)
    s.lines = remember(s.lines, nominal, what, word)
end

local function enqueue(name, s, definition, nominal)
    local _, holder = schedule_job_holder(definition.record)
    if holder then
        say(s, nominal, 's', '-')
        return 0
    end
    if not schedule_job_room(definition.record) then
        say(s, nominal, 'c', '-')
        return 0
    end
    local id = schedule_job_id(name, nominal)
    local fresh = schedule_job_store(id, definition.record)
    say(s, nominal, 'e', id)
    s.last = id
    return fresh and 1 or 0
end

local function step(name, s, definition, nominal)
    if definition.overlap == 'allow' or
        not schedule_job_active(s.last, s.lines) then
        return enqueue(name, s, definition, nominal)
    end
    if definition.overlap == 'buffer' and s.buffered == 0 then
        s.buffered = tonumber(nominal)
    else
        say(s, nominal, 's', '-')
    end
    return 0
end

-- The steps stand in ARGV[a + 6] and behind.
local function fire(a)
    local name, steps = ARGV[a], tonumber(ARGV[a + 5])
    local text = call('HGET', schedules, name)
    local score = call('ZSCORE', fires, name)
    if not text or not score or tonumber(score) > now then
        return -1
    end
    local s = open(name, score)
    if s.nominal ~= ARGV[a + 2] or
        match(text, '^{"version":(%d+)') ~= ARGV[a + 1] then
        return -1
    end
    for i = 0, steps - 1 do
        local b = a + 6 + 3 * i
        if ARGV[b + 2] == '0' and tonumber(ARGV[b + 1]) > now then
            return -1
        end
    end
    local definition = cjson.decode(text)
    definition.record = retry_record(definition.record)
    local n = 0
    if s.buffered > 0 and not schedule_job_active(s.last, s.lines) then
        local nominal = string.format('%d', s.buffered)
        s.buffered = 0
        n = n + enqueue(name, s, definition, nominal)
    end
    for i = 0, steps - 1 do
        local b = a + 6 + 3 * i
        if ARGV[b + 2] == '0' then
            n = n + step(name, s, definition, ARGV[b])
        else
            say(s, ARGV[b], 'm', ARGV[b + 2])
        end
    end
    local at = tonumber(ARGV[a + 4])
    if s.buffered > 0 then
        -- The longer it has waited, the less often somebody looks.
        local wait = math.floor((now - s.buffered) / 8)
        wait = now + math.min(math.max(wait, RECHECK_MIN), RECHECK_MAX)
        at = at and math.min(at, wait) or wait
    end
    if at then
        call('ZADD', fires, string.format('%d', at), name)
    else
        call('ZREM', fires, name)
    end
    call('HSET', fired, name,
         string.format('%s %d %s\n', ARGV[a + 3], s.buffered, s.last) ..
             s.lines)
    return n
end

local answer = {now, 0}
local a = 1
while a <= #ARGV do
    answer[#answer + 1] = fire(a)
    a = a + 6 + 3 * tonumber(ARGV[a + 5])
end
answer[2] = settle()
return answer
