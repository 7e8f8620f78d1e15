-- cancel_waiting: ends a job that waits, as cancelled. Needs ends, states, the
-- locals jobs and state (keys), and sets cancelled, how many there were.
local cancelled = 0

-- Out of where it waits. An entry in the middle of a list stays there and counts
-- as stale, so that nothing looks through a list.
local function withdraw(entry)
    for _, set in ipairs({'due', 'retrying', 'blocked'}) do
        if call('ZREM', base .. set, entry) == 1 then
            return
        end
    end
    call('HINCRBY', base .. 'stale', entry, 1)
end

-- @message: the cause, a JSON string. Its entry is the caller's.
local function cancel_waiting(id, record, options, message)
    local text = call('HGET', state, id)
    local s = text and parse(text) or
        {token = '-', attempt = 0, retries = 0, crashes = 0, lost = 0,
         worker = '-', started = 0, history = ''}
    local keep_ms = options.k or '3600000'
    s.started = now_text
    remember(s, 'x', message)
    s.started = text and match(text, '^%a %S+ %d+ %d+ %d+ %d+ %S+ (%d+)') or 0
    cancelled = cancelled + 1
    job_ended(id, 'C', record, options, text or '', '', message)
    for channel in string.gmatch(call('HGET', base .. 'waits', id) or '', '%S+') do
        call('PUBLISH', channel, id)
    end
    call('HDEL', base .. 'waits', id)
    if keep_ms == '0' then
        call('HDEL', jobs, id)
        call('HDEL', state, id)
        call('HDEL', base .. 'progress', id)
        call('ZADD', base .. 'gone', now_text, id)
    else
        call('HSET', state, id, format('C', s, true))
        call('ZADD', base .. 'done', string.format('%d', now + keep_ms), id)
        call('HINCRBY', base .. 'stats', 'kept', 1)
    end
    call('HINCRBY', base .. 'stats', 'cancelled', 1)
end
