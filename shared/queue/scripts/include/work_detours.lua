-- work_detours: how a job is claimed that is not plain or did run before. A
-- part of work.lua, whose locals it uses.

-- {words, {id of a parent, its end, ...}} and their size; nil when they are of
-- a wrong type. They go as they are: Lua hashes each byte of each string that
-- it makes, and one JSON object of 1 MiB would hold Redis up for 10 ms.
local function inputs_of(id, words)
    local found = redis.pcall('HGETALL', base .. 'in:' .. id)
    if found.err then
        return nil
    end
    local size, results = #words, 0
    for i = 1, #found, 2 do
        results = results + #found[i + 1] - 1
        if results > INPUTS_MAX then
            found[i + 1] = sub(found[i + 1], 1, 1)
        end
        size = size + #found[i] + #found[i + 1]
    end
    return {words, found}, size
end

-- What the reply says of an attempt that is not a plain job's first.
local function again_words(s)
    return s and (s.attempt + 1) .. ' ' .. s.retries .. ' ' .. s.crashes or
        '1 0 0'
end

-- Whether a job's inputs can be had; and where it has parents, they, with the
-- other words of the reply, and their size.
local function has_inputs(entry, id, text, asked)
    if not (asked and asked.n) then
        return true
    end
    local inputs, size = inputs_of(id, again_words(text and parse(text)))
    if not inputs then
        dropped = dropped + 1
        options().set_aside(entry)
    end
    return inputs ~= nil, inputs, size
end

-- Gives a job to the caller. @inputs, @size: see has_inputs, or nil.
local function give(entry, id, record, text, asked, inputs, size)
    local token = token_stem .. number_text(token_number)
    -- A cancel or a child that was attached while it waited is looked at, too.
    local code = asked and (options().has_end(asked) or
        (lengths[32] and call('HEXISTS', base .. 'children', id) == 1)) and
        'r' or 'R'
    local s = text and parse(text)
    local before = inputs or (s and again_words(s)) or false
    if s then
        s.attempt = s.attempt + 1
        s.token, s.worker, s.started = token, ARGV[3], now_text
        put(id, code, s)
    else
        states[states_len + 1] = id
        states[states_len + 2] = code .. ' ' .. token .. first_claim
        states_len = states_len + 2
        if watched then
            note(id, code, 1)
        end
    end
    if asked and asked.u and byte(asked.u) == 119 then -- 'w'
        options().unlock(id, asked)
    end
    leases[2 * claimed + 1] = lease_until
    leases[2 * claimed + 2] = entry
    answer[answer_len + 1] = entry
    answer[answer_len + 2] = record
    answer[answer_len + 3] = before
    answer_len = answer_len + 3
    token_number = token_number + 1
    claimed = claimed + 1
    local beside = size or before and #before or 0
    bytes = bytes + #record + beside
    bytes_again = bytes_again + beside + (text and #record or 0)
    if queue_rate then
        options().rate_start(queue_rate)
    end
end

-- One that may not start any more.
local function expire(id, record, text, asked)
    local s = text and parse(text) or never_ran()
    put(id, 'X', s, true)
    keep(id, asked.k or '3600000')
    options().job_ended(id, 'X', record, asked, text or '', '', '')
    count('expired', 1)
    bytes_again = bytes_again - (text and 0 or #record)
    dropped = dropped + 1
end

local function was_given(id)
    odd = true
    for i = 1, states_len, 2 do
        if states[i] == id then
            return true
        end
    end
    return false
end

-- Is what was popped a job that waits, once?
local function waits_here(entry, id, record, text)
    if not record then
        -- A deleted job leaves its entry behind; the rest is rubbish.
        count('skipped', 1)
    elseif taken[id] or (text and byte(text) ~= 87) or not is_entry(entry) or
        (byte(entry) ~= byte(record, 2) and was_given(id)) then
        count('rubbish', 1)
    else
        return true
    end
    dropped = dropped + 1
    return false
end

-- How often this entry, taken off a list, counts no more: 1 is now used up.
local function is_stale(entry)
    local n = stale_there and tonumber(call('HGET', stale_set, entry) or nil)
    if not n then
        return false
    end
    if n > 1 then
        call('HINCRBY', stale_set, entry, -1)
    else
        call('HDEL', stale_set, entry)
    end
    dropped = dropped + 1
    return true
end

-- Whether the job @entry, next in the list of @key, may not start while
-- @running attempts of that key run.
local function is_held_up(entry, key, running)
    local record = call('HGET', jobs, sub(entry, 2))
    local most, _, _, own = options().limit_of(options().of(record or ''))
    return own == key and most > 0 and running >= most
end

local WRONG_TYPE_MS = 60000

-- The marker comes back in @wait ms.
local function hold_up(marker, name, wait)
    call('HSET', base .. 'turns', name, 'd')
    call('ZADD', due, string.format('%d', now + wait), marker)
    due_head = sooner(due_head, now + wait)
    count('held', 1)
end

-- Of the markers that were popped together: who is next in their lists, and who
-- comes behind; or the error that says that it is no list.
local heads = {}

-- The id of who is next, nil without one.
local function head_of_key(marker)
    local list = base .. 'key:' .. sub(marker, 1, 1) .. sub(marker, 3)
    local entries = redis.pcall('LRANGE', list, '0', '1')
    heads[marker] = entries
    return entries[1] and sub(entries[1], 2)
end

-- The job that is next for @key may start, but for how many run: does it?
local function start(list, name, entry, id, record, text, asked, most)
    local key = sub(name, 2)
    local good, inputs, size = has_inputs(entry, id, text, asked)
    if not good then
        call('LPOP', list)
        return 'passed over'
    end
    local running = call('HINCRBY', base .. 'running', key, '1')
    if most > 0 and running > most then
        call('HINCRBY', base .. 'running', key, '-1')
        call('HSET', base .. 'turns', name, 'b')
        return 'held up'
    end
    call('LPOP', list)
    taken[id] = true
    give(entry, id, record, text, asked, inputs, size)
    return 'started', running
end

-- The turn of a limit key: its marker was popped, @id is next in its list.
-- Starts one job at most, and says what becomes of the marker.
local function turn(marker, id, record, text)
    local digit, key = sub(marker, 1, 1), sub(marker, 3)
    local list, name = base .. 'key:' .. digit .. key, digit .. key
    if dropped >= DROP_MAX then -- it keeps its place
        call('LPUSH', base .. 'ready:' .. digit, marker)
        return
    end
    local following = true -- of what is next, who comes behind it
    while dropped < DROP_MAX do
        local entry = heads[marker][1]
        following = heads[marker][2]
        if heads[marker].err then -- the others go on
            return hold_up(marker, name, WRONG_TYPE_MS)
        elseif not entry then
            call('HDEL', base .. 'turns', name)
            return
        end
        local asked = record and options().of(record) or {}
        if is_stale(entry) or not waits_here(entry, id, record, text) then
            call('LPOP', list)
        elseif tonumber(asked.e or now + 1) <= now then
            call('LPOP', list)
            taken[id] = true
            expire(id, record, text, asked)
        elseif options().limit_key_of(asked) ~= key then -- changed
            call('LPOP', list)
            options().make_ready(entry, asked)
            dropped = dropped + 1
        else
            local most, n, period = options().limit_of(asked)
            local rate = n > 0 and options().rate_of(key, n, period)
            local wait = rate and options().rate_wait(rate) or 0
            dropped = dropped + TURN_DROPS
            if wait > 0 then
                return hold_up(marker, name, wait)
            end
            local outcome, running = start(list, name, entry, id, record, text,
                                           asked, most)
            if outcome == 'started' and rate then
                options().rate_start(rate)
                options().rate_keep(rate)
            end
            if outcome == 'held up' then
                return
            elseif outcome == 'started' and following and most > 0 and
                running >= most and is_held_up(following, key, running) then
                call('HSET', base .. 'turns', name, 'b')
                return
            end
            break
        end
        id = head_of_key(marker)
        record = id and call('HGET', jobs, id)
        text = id and call('HGET', state, id)
    end
    if following then
        tails[#tails + 1] = marker
    else
        call('HDEL', base .. 'turns', name)
    end
end

-- Everything but a plain job that never ran.
local function claim(entry, id, record, text)
    if byte(entry, 2) == 61 then
        return turn(entry, id, record, text)
    elseif is_stale(entry) or not waits_here(entry, id, record, text) then
        return
    end
    local asked = byte(record, 3) == 43 and options().of(record) -- '+'
    if asked and asked.l then -- it waits in its key's list
        options().make_ready(entry, asked)
        dropped = dropped + 1
        return
    end
    local late = asked and tonumber(asked.e or now + 1) <= now
    local good, inputs, size = true, nil, nil
    if not late then
        good, inputs, size = has_inputs(entry, id, text, asked)
    end
    taken[id] = good or nil
    if late then
        expire(id, record, text, asked)
    elseif good then
        give(entry, id, record, text, asked, inputs, size)
    end
end

-- An entry stood there twice, by hand: the second of each is taken back. Tokens
-- go by the place in the reply.
local function drop_doubles()
    local seen, n = {}, 0
    local first = tonumber(ARGV[4])
    local texts = {}
    for i = 1, states_len, 2 do
        texts[states[i]] = texts[states[i]] or states[i + 1]
    end
    states, states_len = {}, 0
    for a = answer_start + 1, answer_len, 3 do
        local id = sub(answer[a], 2)
        if seen[id] then
            count('rubbish', 1)
        else
            seen[id] = true
            for w = 0, 2 do
                answer[answer_start + 3 * n + 1 + w] = answer[a + w]
            end
            local code, rest = match(texts[id], '^(%a) %S+(.*)$')
            states[states_len + 1] = id
            states[states_len + 2] = code .. ' ' .. token_stem ..
                number_text(first + n) .. rest
            states_len = states_len + 2
            texts[id] = nil
            n = n + 1
        end
    end
    for id, text in pairs(texts) do -- expired ones
        states[states_len + 1], states[states_len + 2] = id, text
        states_len = states_len + 2
    end
    for a = answer_start + 3 * n + 1, answer_len do
        answer[a] = nil
    end
    claimed, answer_len = n, answer_start + 3 * n
end
