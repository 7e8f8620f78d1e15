-- ends: what a job's options mean when it becomes ready and when it ends. Plain
-- jobs need nothing of this: only a record with the flag '+' has options, and
-- only a state with the code 'r' says that whoever ends the job must look.
--
-- Needs need, options, unique and the locals call, sub, match, base (all keys'
-- names up to the last part), jobs (that key), now and now_text. Sets ends_woke
-- when there is something new for a worker: the caller then sees to the wake
-- token.
local ends_woke = false
-- How much lies in children, cancels and turns, where the caller has asked
-- before the first write: that saves the questions of each job.
local known = {}

-- Does somebody have to look at it when the job ends?
local function has_end(options)
    local unique = options.u
    return options.l or options.n or options.o or options.c or
        (unique and string.byte(unique) ~= 119) -- 'w': released by the claim
end

-- A key that only this job or its limit has, and that work comes across too
-- late to refuse all, is of a wrong type: it waits, and the others go on.
local ASIDE_MS = 60000
local function set_aside(entry)
    local ran = call('HEXISTS', base .. 'state', sub(entry, 2)) == 1
    call('ZADD', base .. (ran and 'retrying' or 'due'),
         string.format('%d', now + ASIDE_MS), entry)
end

-- Into its ready list; a job with a limit key into the list of its key, whose
-- marker then has one place in the ready list whatever waits behind it.
local function make_ready(entry, options, first)
    local digit = sub(entry, 1, 1)
    local key = limit_key_of(options)
    local push = first and 'LPUSH' or 'RPUSH'
    ends_woke = true
    if not key then
        return call(push, base .. 'ready:' .. digit, entry)
    end
    local len = redis.pcall(push, base .. 'key:' .. digit .. key, entry)
    if type(len) == 'table' then
        return set_aside(entry)
    end
    -- Others that wait there have seen to the turn of their key.
    if len == 1 and
        call('HSETNX', base .. 'turns', digit .. key, 'r') == 1 then
        call('RPUSH', base .. 'ready:' .. digit, digit .. '=' .. key)
    end
end

-- One of the limit's attempts is over: who was kept waiting by it has a turn.
-- All of a call's attempts end before the first is started: then nobody waits
-- any more whose key was looked at once.
local turns_seen = {}

-- A small hash is a listpack, which Redis reads from its front for each field:
-- with 50 keys in it that costs as much as all else that is done for a job. A
-- field that is too long for one makes it a table until it is empty.
local TURNS_MIN, LISTPACK_MAX = 16, 512 -- hash-max-listpack-entries
local LONG_FIELD = string.rep('-', 65) -- hash-max-listpack-value is 64
local unpacked = false
local function unpack_turns()
    local len = known.turns or 0
    if not unpacked and len > TURNS_MIN and len <= LISTPACK_MAX then
        call('HSET', base .. 'turns', LONG_FIELD, '')
        call('HDEL', base .. 'turns', LONG_FIELD)
    end
    unpacked = true
end
local function run_ended(options)
    local key = limit_key_of(options)
    if not key then
        return
    end
    if call('HINCRBY', base .. 'running', key, '-1') <= 0 then
        call('HDEL', base .. 'running', key)
    end
    if known.turns == 0 or turns_seen[key] then
        return
    end
    turns_seen[key] = true
    unpack_turns()
    local turns = call('HMGET', base .. 'turns', '9' .. key, '8' .. key,
                       '7' .. key, '6' .. key, '5' .. key, '4' .. key,
                       '3' .. key, '2' .. key, '1' .. key, '0' .. key)
    for i = 1, 10 do
        if turns[i] == 'b' then
            local digit = sub('9876543210', i, i)
            call('HSET', base .. 'turns', digit .. key, 'r')
            call('RPUSH', base .. 'ready:' .. digit, digit .. '=' .. key)
            ends_woke = true
        end
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
    local attached = known.children ~= 0 and
        call('HGET', base .. 'children', id) or ''
    local children = string.gsub(options.o or '', ',', ' ') .. ' ' .. attached
    for child in string.gmatch(children, '%S+') do
        full = full or match(base, '{([^{}]*)}:$') .. '.' .. id
        call('XADD', base .. 'outbox', '*', 'kind', 'end', 'to', child, 'from',
             full, 'code', code, 'result', result)
        ends_woke = true
    end
    if attached ~= '' then
        call('HDEL', base .. 'children', id)
    end
    call_back(id, code, record, options, text, result, message)
    if known.cancels ~= 0 then
        call('HDEL', base .. 'cancels', id)
    end
    if options.n then
        call('DEL', base .. 'in:' .. id)
    end
end
