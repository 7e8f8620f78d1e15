-- cancel_waiting: ends a job that does not run, as cancelled or expired. Needs
-- ends, states, forget and the locals jobs and state (keys).

-- Out of where it waits. An entry in the middle of a list stays there and
-- counts as stale, so that nothing looks through a list.
local function withdraw(entry)
    for _, set in ipairs({'due', 'retrying', 'blocked'}) do
        if call('ZREM', base .. set, entry) == 1 then
            return
        end
    end
    call('HINCRBY', base .. 'stale', entry, 1)
end

-- @code: C or X. @message: of one that is cancelled the cause, a JSON string.
-- Its entry is the caller's.
local function end_waiting(id, record, options, code, message)
    local text = call('HGET', state, id)
    local s = text and parse(text) or
        {token = '-', attempt = 0, retries = 0, crashes = 0, lost = 0,
         worker = '-', started = 0, history = ''}
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
