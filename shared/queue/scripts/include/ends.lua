-- ends: what a job's options mean when it becomes ready and when it ends. Plain
-- jobs need nothing of this: only a record with the flag '+' has options, and
-- only a state with the code 'r' says that whoever ends the job must look.
--
-- Needs need and the locals call, sub, match, base (all keys' names up to the
-- last part), jobs (that key), now and now_text. Sets ends_woke when there is
-- something new for a worker: the caller then sees to the wake token.
local ends_woke = false

-- The record's options, letter -> value. They stand behind the task's name.
local function options_of(record)
    local found = {}
    local head = match(record, '^[^\n]*')
    local _, task = string.find(head, '^%S+ %S+ %S+')
    for letter, value in string.gmatch(sub(head, (task or #head) + 1),
                                       ' (%a)(%S*)') do
        found[letter] = value
    end
    return found
end

-- Does somebody have to look at it when the job ends?
local function has_end(options)
    local unique = options.u
    return options.l or options.n or options.o or options.c or
        (unique and string.byte(unique) ~= 119) -- 'w': released by the claim
end

-- concurrency, rate, its period in ms, key; nil without a limit.
local function limit_of(options)
    local concurrency, rate, period, key =
        match(options.l or '', '^(%d+),(%d+),(%d+),(.*)$')
    return tonumber(concurrency), tonumber(rate), tonumber(period), key
end

-- Into its ready list; a job with a limit key into the list of its key, whose
-- marker then has one place in the ready list whatever waits behind it.
local function make_ready(entry, options, first)
    local digit = sub(entry, 1, 1)
    local _, _, _, key = limit_of(options)
    local push = first and 'LPUSH' or 'RPUSH'
    ends_woke = true
    if not key then
        return call(push, base .. 'ready:' .. digit, entry)
    end
    call(push, base .. 'key:' .. digit .. key, entry)
    if call('HSETNX', base .. 'turns', digit .. key, 'r') == 1 then
        call('RPUSH', base .. 'ready:' .. digit, digit .. '=' .. key)
    end
end

-- One of the limit's attempts is over: who was kept waiting by it has a turn.
local function run_ended(options)
    local _, _, _, key = limit_of(options)
    if not key then
        return
    end
    if call('HINCRBY', base .. 'running', key, -1) <= 0 then
        call('HDEL', base .. 'running', key)
    end
    local names = {}
    for digit = 9, 0, -1 do
        names[10 - digit] = digit .. key
    end
    local turns = call('HMGET', base .. 'turns', unpack(names))
    for i, name in ipairs(names) do
        if turns[i] == 'b' then
            call('HSET', base .. 'turns', name, 'r')
            call('RPUSH', base .. 'ready:' .. (10 - i), (10 - i) .. '=' .. key)
            ends_woke = true
        end
    end
end

-- It leaves the while of its unique key, if it has one and holds it.
local function unlock(id, options, ended)
    local hold, ttl, key = match(options.u or '', '^(%a),(%d+),(.*)$')
    if not key or call('HGET', base .. 'unique', key) ~= id then
        return
    end
    if hold == 'e' and ended then
        call('ZADD', base .. 'unlocks', string.format('%d', now + ttl), key)
    elseif hold ~= 'e' then
        call('HDEL', base .. 'unique', key)
        call('ZREM', base .. 'unlocks', key)
    end
end

-- The holder of a unique key, or nil when it is free. A lock by time is free
-- once that has passed, and one of a job that is not there heals itself.
local function holder_of(key)
    local holder = call('HGET', base .. 'unique', key)
    if not holder then
        return nil
    end
    local ends = tonumber(call('ZSCORE', base .. 'unlocks', key) or nil)
    if ends and ends > now then
        -- By a clock that was set back since, it may be over; work moves it.
        local seen = tonumber(call('HGET', base .. 'meta', 'seen') or 0)
        return (seen <= now + 5000 or ends > seen) and holder or nil
    elseif ends then
        return nil
    end
    return call('HEXISTS', jobs, holder) == 1 and holder or nil
end

local function lock(id, options)
    local hold, ttl, key = match(options.u or '', '^(%a),(%d+),(.*)$')
    if not key then
        return
    end
    call('HSET', base .. 'unique', key, id)
    if hold ~= 'e' and ttl ~= '0' then
        call('ZADD', base .. 'unlocks', string.format('%d', now + ttl), key)
    else
        call('ZREM', base .. 'unlocks', key)
    end
end

-- Takes @n locks off that ended by time.
local function forget_locks(n)
    local keys = need('ZRANGEBYSCORE', base .. 'unlocks', '-inf', now_text,
                      'LIMIT', 0, n)
    if #keys > 0 then
        need('HDEL', base .. 'unique', unpack(keys))
        call('ZREM', base .. 'unlocks', unpack(keys))
    end
end

local END_NAMES = {S = 'succeeded', C = 'cancelled', X = 'expired', D = 'dead'}

-- A job of this queue that posts the end to a URL.
local function call_back(id, code, record, options, text, result, message)
    local letters, url = match(options.c or '', '^(%a+),(.*)$')
    if not url or not string.find(letters, code, 1, true) then
        return
    end
    local queue = match(base, '{([^{}]*)}:$')
    local local_id = 'cb-' .. id .. '-' .. code
    if call('HEXISTS', jobs, local_id) == 1 or
        call('ZSCORE', base .. 'gone', local_id) then -- it ended before
        local_id = local_id .. '-' .. (match(text, '^%a %S+ (%d+)') or now_text)
    end
    if #local_id > 64 then
        local_id = 'cb-' .. redis.sha1hex(local_id)
    end
    local function json(value)
        return value and value ~= '' and #value < 1000000 and value or 'null'
    end
    local args = '{"url":' .. cjson.encode(url) .. ',"event":{"type":"job.' ..
        END_NAMES[code] .. '","id":"' .. queue .. '.' .. id .. '","task":"' ..
        match(record, '^%S+ %S+ ([^ \n]+)') .. '","queue":"' .. queue ..
        '","state":"' .. END_NAMES[code] .. '","result":' .. json(result) ..
        ',"error":' .. json(message) .. ',"ended_at_ms":' .. now_text .. '}}'
    local origin = (options.p and ' p' .. options.p or '') ..
        (options.i and ' i' .. options.i or '')
    call('HSET', jobs, local_id,
         '15- ' .. now_text .. ' pit.callback r10' .. origin .. '\n' .. args)
    call('RPUSH', base .. 'ready:5', '5' .. local_id)
    call('HINCRBY', base .. 'stats', 'enqueued', 1)
    ends_woke = true
end

-- It ended with @code S, C, X or D. @text: its state as it was, or ''; @result
-- JSON, @message a JSON string, each or ''. Those who wait for it by `wait` are
-- the caller's.
local function job_ended(id, code, record, options, text, result, message)
    unlock(id, options, true)
    local full
    local children = string.gsub(options.o or '', ',', ' ') .. ' ' ..
        (call('HGET', base .. 'children', id) or '')
    for child in string.gmatch(children, '%S+') do
        full = full or match(base, '{([^{}]*)}:$') .. '.' .. id
        call('XADD', base .. 'outbox', '*', 'kind', 'end', 'to', child, 'from',
             full, 'code', code, 'result', result)
        ends_woke = true
    end
    if full then
        call('HDEL', base .. 'children', id)
    end
    call_back(id, code, record, options, text, result, message)
    call('HDEL', base .. 'cancels', id)
    if options.n then
        call('DEL', base .. 'in:' .. id)
    end
end
