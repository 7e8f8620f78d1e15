-- schedule_job: the job of one fire. Needs `call`, `match`, now_text, the keys
-- jobs, state, gone, and the ready lists in KEYS[10..19]; counts in `stored` and
-- sets `waiting` when a worker must be woken.

-- Readable, and the same for whoever fires that time: the schedule's name as far
-- as an id can hold it, the time, and 64 bits of the whole name.
local function schedule_job_id(name, nominal)
    local short = string.sub(string.gsub(name, '%.', '_'), 1, 32)
    return short .. '-' .. nominal .. '-' ..
        string.sub(redis.sha1hex(name), 1, 16)
end

-- True while a fire's job has not ended. One that an operator must look at
-- (quarantined) does not hold up the schedule.
local function schedule_job_active(id)
    if id == '-' or call('HEXISTS', jobs, id) == 0 then
        return false
    end
    local text = call('HGET', state, id)
    return not text or match(text, '^[RrW]') ~= nil
end

-- @record was made with 0 for the time of its creation. False: it is there, or
-- was.
local function schedule_job_store(id, record)
    if call('HEXISTS', jobs, id) == 1 or call('ZSCORE', gone, id) then
        return false
    end
    local head, rest = match(record, '^(%S+) 0 (.*)$')
    call('HSET', jobs, id, head .. ' ' .. now_text .. ' ' .. rest)
    local digit = string.sub(head, 2, 2)
    call('RPUSH', KEYS[19 - tonumber(digit)], digit .. id)
    stored = stored + 1
    waiting = true
    return true
end
