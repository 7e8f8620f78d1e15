-- schedule_job: the job of one fire. Needs `call`, `match`, `now`, now_text,
-- the keys jobs, state, gone, stats, meta, and the ready lists in KEYS[10..19];
-- counts in `stored`, sets `waiting` when a worker must be woken, and `outbox`
-- when a message lies there.
local base = string.sub(jobs, 1, -5)
local OUTBOX_MS = 10000 -- by then a message is delivered, or its job refused
local closed, len_left, bytes_left, bytes_max, watched
do
    local set = call('HMGET', meta, 'closed', 'len_max', 'bytes_max', 'watched')
    closed = set[1] == '1'
    len_left, bytes_left, bytes_max = math.huge, math.huge, tonumber(set[3])
    watched = (tonumber(set[4]) or 0) > now
    if tonumber(set[2]) then
        len_left = set[2] - (call('HLEN', jobs) -
            call('ZCARD', base .. 'leased') -
            tonumber(call('HGET', stats, 'kept') or 0) -
            call('ZCARD', base .. 'dead') -
            call('ZCARD', base .. 'quarantined'))
    end
    if bytes_max then
        bytes_left = bytes_max - tonumber(call('HGET', stats, 'bytes') or 0)
    end
end

-- Readable, and the same for whoever fires that time: the schedule's name as
-- far as an id can hold it, the time, and 64 bits of the whole name.
local function schedule_job_id(name, nominal)
    local short = string.sub(string.gsub(name, '%.', '_'), 1, 32)
    return short .. '-' .. nominal .. '-' ..
        string.sub(redis.sha1hex(name), 1, 16)
end

-- True while a fire's job has not ended; @lines is the schedule's history. One
-- that an operator must look at (quarantined) does not hold up the schedule.
local function schedule_job_active(id, lines)
    if id == '-' then
        return false
    elseif call('HEXISTS', jobs, id) == 0 then
        -- It may still lie in the outbox.
        local word = string.gsub(id, '%-', '%%-')
        local since = match(lines, ' (%d+) [et] ' .. word .. '\n')
        return since ~= nil and now - since < OUTBOX_MS and
            not call('ZSCORE', gone, id) and
            call('EXISTS', base .. 'outbox') == 1
    end
    local text = call('HGET', state, id)
    return not text or match(text, '^[RrW]') ~= nil
end

-- Whether the queue takes one more job.
local function schedule_job_room(record)
    return not closed and len_left >= 1 and
        bytes_left >= #record - 1 + #now_text -- the time in place of the 0
end

-- @record was made with 0 for the time of its creation. False: it is there, or
-- was. One with options goes the way of a flow's jobs, through the outbox: what
-- they ask for is enqueue's business.
local function schedule_job_store(id, record)
    if call('HEXISTS', jobs, id) == 1 or call('ZSCORE', gone, id) then
        return false
    end
    local head, rest = match(record, '^(%S+) 0 (.*)$')
    record = head .. ' ' .. now_text .. ' ' .. rest
    if string.sub(head, 3, 3) == '+' then
        call('XADD', base .. 'outbox', '*', 'kind', 'enqueue', 'job',
             match(base, '{([^{}]*)}:$') .. '.' .. id, 'record', record)
        outbox, waiting = true, true
        return true
    end
    call('HSET', jobs, id, record)
    local digit = string.sub(head, 2, 2)
    call('RPUSH', KEYS[19 - tonumber(digit)], digit .. id)
    stored = stored + 1
    len_left, bytes_left = len_left - 1, bytes_left - #record
    if bytes_max then
        call('HINCRBY', stats, 'bytes', #record)
    end
    if watched then
        call('XADD', base .. 'events', 'MAXLEN', '~', '1000', '*', 'e',
             id .. ' N 0\n')
    end
    waiting = true
    return true
end
