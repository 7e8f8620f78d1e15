-- schedule_job: the job of one fire. Needs schedule_keys, in whose variables it
-- counts, room, events, options, unique, and the ready lists in KEYS[10..19].
local OUTBOX_MS = 10000 -- by then a message is delivered, or its job refused
local set = call('HMGET', meta, 'closed', 'len_max', 'bytes_max', 'watched')
local closed, bytes_max = set[1] == '1', tonumber(set[3])
local watched = (tonumber(set[4]) or 0) > now
local len_left, bytes_left = room_of_queue(tonumber(set[2]), bytes_max)

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

-- The unique key that @record asks for, or nil; and who holds it, if anybody.
local taken = {} -- by jobs that are on their way since this call
local function schedule_job_holder(record)
    if sub(record, 3, 3) ~= '+' then
        return nil
    end
    local _, _, key = unique_of(options_of(record))
    return key, key and (taken[key] or holder_of(key))
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
    local key = schedule_job_holder(record)
    if key then
        taken[key] = id
    end
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
        tell_listeners(id .. ' N 0\n')
    end
    waiting = true
    return true
end
