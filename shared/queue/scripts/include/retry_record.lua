-- retry_record: a schedule's record with what it leaves to its queue filled in.
-- Needs the locals call, match and meta (that key).
--
-- The option q names what of its retries nobody has said: m how many, k the
-- kind of back-off, b its base, c its cap, j its jitter. Here the queue does,
-- or the standard holds. A job's own record has no q.
local function retry_record(record)
    local open = match(record, '^%S+ %S+ [^ \n]+[^\n]* q(%a+)')
    if not open then
        return record
    end
    local head, args = match(record, '^([^\n]*)(.*)$')
    local start, words = match(head, '^(%S+ %S+ %S+)(.*)$')
    local before, behind, retries, backoff = '', '', nil, nil
    for word in string.gmatch(words, ' %S+') do
        local letter = string.sub(word, 2, 2)
        if letter == 'r' then
            retries = word
        elseif letter == 'b' then
            backoff = word
        elseif string.find('daetk', letter, 1, true) then
            before = before .. word
        elseif letter ~= 'q' then
            behind = behind .. word
        end
    end
    local set = call('HMGET', meta, 'retry_max', 'retry_backoff', 'retry_base',
                     'retry_cap', 'retry_jitter')
    local function of_queue(letter, n)
        return string.find(open, letter, 1, true) and set[n]
    end
    if of_queue('m', 1) then
        retries = ' r' .. set[1]
    end
    if of_queue('k', 2) or of_queue('b', 3) or of_queue('c', 4) or
        of_queue('j', 5) then
        local kind, base, cap, jitter =
            match(backoff or ' be,2000,3600000,20', '^ b(%a),(%d+),(%d+),(%d+)')
        kind, jitter = of_queue('k', 2) or kind, of_queue('j', 5) or jitter
        base, cap = of_queue('b', 3) or base, of_queue('c', 4) or cap
        if tonumber(cap) < tonumber(base) then -- what was left open gives way
            if string.find(open, 'c', 1, true) then
                cap = base
            else
                base = cap
            end
        end
        backoff = ' b' .. kind .. ',' .. base .. ',' .. cap .. ',' .. jitter
    end
    return start .. before .. (retries or '') .. (backoff or '') .. behind ..
        args
end
