-- work_failures: how attempts end that do not simply succeed. A part of
-- work.lua, whose locals it uses.
local function quarantine(id, s, asked)
    call('ZADD', quarantined, now_text, id)
    put(id, 'Q', s, true)
    endings[#endings + 1] = id
    count('quarantined', 1)
    if asked then
        options().unlock(id, asked, true)
    end
end

-- First in its list, or in its key's.
local function again(entry, id, s, asked)
    if asked then
        options().make_ready(entry, asked, true)
    else
        call('LPUSH', is_entry(entry) and KEYS[72 - byte(entry)] or KEYS[19],
             entry)
    end
    put(id, 'W', s)
end

-- An attempt that was to be cancelled and did not succeed. Why it was is said
-- rather than how it ended, which follows from that.
local function cancel(id, s, keep_ms, message, job)
    message = job and job.cancel_cause or message
    count('cancelled', 1)
    remember(s, 'x', message)
    put(id, 'C', s, true)
    keep(id, keep_ms)
    if job then
        options().job_ended(id, 'C', job.record, job.options, job.text, '',
                            message)
    end
end

-- Everything but a plain success. job: what there is to look at, see look_up().
local function finish(how, entry, id, s, keep_ms, message, delay, job)
    local asked = job and job.options
    if how == 'x' or (job and job.cancelled) then
        cancel(id, s, keep_ms, message, job)
    elseif how == 'f' or how == 't' then
        count(how == 'f' and 'failed' or 'timeout', 1)
        remember(s, how, message)
        if delay < 0 then
            call('ZADD', dead, now_text, id)
            put(id, 'D', s, true)
            endings[#endings + 1] = id
            count('dead', 1)
            if job then
                options().job_ended(id, 'D', job.record, asked, job.text, '',
                                    message)
            end
        else
            s.retries = s.retries + 1
            local at = now + delay
            if retries_far ~= 0 and at > retries_from then
                at = at - retries_far -- and is moved yet, see work_clock
            end
            call('ZADD', retrying, string.format('%d', at), entry)
            retrying_head = sooner(retrying_head, at)
            put(id, 'W', s)
            count('retried', 1)
        end
    elseif how == 'c' then
        count('crashed', 1)
        remember(s, how, message)
        s.crashes = s.crashes + 1
        if s.crashes >= tonumber(ARGV[5]) then
            quarantine(id, s, asked)
        else
            again(entry, id, s, asked)
        end
    else -- 'r'
        count('released', 1)
        s.attempt = s.attempt - 1
        again(entry, id, s, asked)
    end
end

-- A job whose state says 'r': its options, whether it was to be cancelled, and
-- why (a JSON string, or nil).
local function look_up(id, text, record)
    record = record or ''
    local asked = options().of(record)
    options().run_ended(asked)
    local cancel = lengths[34] and call('HGET', cancels, id)
    return {record = record, options = asked, text = text,
            cancelled = cancel and true,
            cancel_cause = cancel and match(cancel, '^%d+ %d+ (.*)$')}
end
