-- cancel_waiting: ends a job that does not run, as cancelled or expired. Needs
-- ends, states, forget, place and the locals jobs and state (keys).

-- Out of where it waits: @place, or wherever that is. An entry in the middle of
-- a list stays there and counts as stale, so that nothing looks through a list.
local function withdraw(id, record, place)
    local entry = sub(record, 2, 2) .. id
    place = place or place_of(entry)
    if place == 'ready' then
        call('HINCRBY', base .. 'stale', entry, '1')
    else
        call('ZREM', base .. place, entry)
    end
end

-- @code: C or X. @message: of one that is cancelled the cause, a JSON string.
-- Its entry is the caller's.
local function end_waiting(id, record, options, code, message)
    local text = call('HGET', state, id)
    local s = text and parse(text) or never_ran()
    if code == 'C' then
        local started = s.started
        s.started = now_text
        remember(s, 'x', message)
        s.started = started
    end
    call('HINCRBY', base .. 'stats', code == 'C' and 'cancelled' or 'expired',
         1)
    job_ended(id, code, record, options, text or '', '', message)
    tell_waiters(id)
    local keep_ms = options.k or '3600000'
    if keep_ms == '0' then
        forget({id})
    else
        call('HSET', state, id, format(code, s, true))
        call('ZADD', base .. 'done', string.format('%d', now + keep_ms), id)
        call('HINCRBY', base .. 'stats', 'kept', 1)
    end
end

local function cancel_waiting(id, record, options, message)
    end_waiting(id, record, options, 'C', message)
end
