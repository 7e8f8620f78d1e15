#!lua flags=no-writes
-- list: the ids of a queue's jobs in one state, a page at a time.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of all other keys
-- ARGV[1] state  ready, scheduled, retrying, blocked, running, dead,
--                quarantined, ended (all of done), or of those: succeeded,
--                cancelled, expired
-- ARGV[2] limit, 1..1000
-- ARGV[3] where to go on: '', or what stood beside an id in the page before
-- ARGV[4] 1: with the first line of each record; a page of ended jobs may be
--         longer than limit then, by the rest of a group
--
-- Returns {next, id, cursor, head, id, cursor, head, ...}: next is where the
-- page after this one begins, '' at the end. A page may hold fewer than limit,
-- even none, before the end: one call looks at LOOK_MAX entries.
--
-- Sets go from the highest score down (latest due, ended or dead first),
-- running from the lowest up, since a renewed lease moves up: so a job that
-- stays where it is is never left out. Ready goes by priority, in each from the
-- newest on, jobs under a limit key behind all others. What arrives or leaves
-- between two pages moves nothing else; only in a ready list to which more than
-- WINDOWS windows were added in between may a page repeat jobs.
local LOOK_MAX = 5000
local TEXT_LEN = 100 -- bytes of a state that cost as much as to look at one
local STEP = 200
local WINDOW, WINDOWS = 1000, 4

-- include: need
local call, sub, byte, match = need, string.sub, string.byte, string.match
local base = sub(KEYS[1], 1, -5)
local jobs = KEYS[1]
local wanted, limit, cursor = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local heads = ARGV[4] == '1'
local answer, found, looked = {''}, 0, 0
-- include: place

local function add(id, at)
    local head = ''
    if heads then
        local record = call('HGET', jobs, id)
        if not record then
            return
        end
        head = match(record, '^[^\n]*')
    end
    found = found + 1
    answer[3 * found - 1] = id
    answer[3 * found] = at
    answer[3 * found + 1] = head
end

-- How many members of a set come before the cursor's and with it: (score, word)
-- need not be there any more. word is the member up to its first space.
local function behind(key, score, word, up)
    local low, high = 0, call('ZCARD', key)
    score = tonumber(score)
    while low < high do
        local middle = math.floor((low + high) / 2)
        local one = up and call('ZRANGE', key, middle, middle, 'WITHSCORES') or
            call('ZREVRANGE', key, middle, middle, 'WITHSCORES')
        local s, w = tonumber(one[2]), match(one[1], '^%S*')
        local before
        if up then
            before = s < score or (s == score and w <= word)
        else
            before = s > score or (s == score and w >= word)
        end
        if before then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

-- @each(member, score) adds what is wanted of a member and returns false when
-- the page became full within it.
local function walk_set(key, up, each)
    local score, word = match(cursor, '^z([^,]*),([^,]*)')
    local at = score and behind(key, score, word, up) or 0
    while true do
        local members = up and
            call('ZRANGE', key, at, at + STEP - 1, 'WITHSCORES') or
            call('ZREVRANGE', key, at, at + STEP - 1, 'WITHSCORES')
        if #members == 0 then
            return ''
        end
        for i = 1, #members, 2 do
            local here = 'z' .. members[i + 1] .. ',' ..
                match(members[i], '^%S*')
            if not each(members[i], here) then
                return answer[3 * found]
            end
            at, looked = at + 1, looked + 1
            if found >= limit or looked >= LOOK_MAX then
                return at < call('ZCARD', key) and here or ''
            end
        end
    end
end

-- A member of done is many ids: a page may end between them. Behind the word
-- of a cursor stands how many of its group were looked at. With heads a page
-- goes on to the end of a group: whoever takes ids out of it makes another
-- group of it, which no cursor within could find again.
local function ended_page()
    local codes = {succeeded = 'S', cancelled = 'C', expired = 'X'}
    local code = codes[wanted]
    local function group(member, here, skip)
        local ids, texts = {}, nil
        for id in string.gmatch(member, '%S+') do
            ids[#ids + 1] = id
        end
        if code then -- whose states are long counts for more
            texts = call('HMGET', base .. 'state', unpack(ids))
        end
        for n = (skip or 0) + 1, #ids do
            if found >= limit and not heads then
                return false
            end
            local text = texts and texts[n]
            looked = looked + 1 + #(text or '') / TEXT_LEN
            if not code or (text and sub(text, 1, 1) == code) then
                add(ids[n], here .. ',' .. n)
            end
        end
        return true
    end
    local done = base .. 'done'
    local score, word, skip = match(cursor, '^z([^,]*),([^,]*),(%d+)$')
    if score then -- the rest of the group in which the last page ended
        local at = behind(done, score, word)
        local same = at > 0 and call('ZREVRANGE', done, at - 1, at - 1)[1]
        if same and match(same, '^%S*') == word then
            group(same, 'z' .. score .. ',' .. word, tonumber(skip))
        end
        if found >= limit then
            return answer[3 * found]
        end
    end
    return walk_set(done, false, group)
end

-- Does an entry count that is the at-th from the tail of its list? Of several
-- of one job all but that nearest to the tail are stale.
local function counts(entry, key, at)
    local id = sub(entry, 2)
    if byte(entry, 2) == 61 or call('HEXISTS', jobs, id) == 0 then
        return false -- '=' marks the turn of a limit key
    end
    local code = byte(call('HGET', base .. 'state', id) or 'W')
    if code ~= 87 then
        return false
    end
    if call('HEXISTS', base .. 'stale', entry) == 1 then
        local nearest = call('LPOS', key, entry, 'RANK', -1, 'MAXLEN',
                             math.min(at, LOOK_MAX))
        return (not nearest or nearest == call('LLEN', key) - at) and
            sub(call('HGET', jobs, id), 2, 2) == sub(entry, 1, 1) and
            place_of(entry) == 'ready'
    end
    return true
end

-- Where the entry that came last lies now: newer ones have pushed it away from
-- the tail. One that was claimed took all older ones with it.
local function find_last(key, at, last)
    for w = 0, WINDOWS - 1 do
        local far = at + w * WINDOW
        local entries = call('LRANGE', key, -(far + WINDOW), -math.max(far, 1))
        for i = #entries, 1, -1 do
            if entries[i] == last then
                return math.max(far, 1) + #entries - i
            end
        end
        if #entries < WINDOW then
            break
        end
    end
    return at
end

local function walk_list(key, name, at, last)
    at = last and find_last(key, at, last) or 0
    while true do
        local entries = call('LRANGE', key, -(at + STEP), -(at + 1))
        for i = #entries, 1, -1 do
            at, looked = at + 1, looked + 1
            local here = name .. ',' .. at .. ',' .. entries[i]
            if counts(entries[i], key, at) then
                add(sub(entries[i], 2), here)
            end
            if found == limit or looked >= LOOK_MAX then
                return here
            end
        end
        if #entries < STEP then
            return nil
        end
    end
end

local function ready_page()
    local digit, at, last = match(cursor, '^r(%d),(%d+),(.*)$')
    if cursor == '' or digit then
        for d = tonumber(digit or 9), 0, -1 do
            local here = walk_list(base .. 'ready:' .. d, 'r' .. d,
                                   tonumber(at), last)
            if here then
                return here
            end
            at, last = nil, nil
        end
    end
    -- Those under limit keys: k<scan>,<hex of the field>,<at>,<entry>
    local scan, field
    scan, field, at, last = match(cursor, '^k(%d+),(%x*),(%d+),(.*)$')
    scan = scan or '0'
    while true do
        local reply = call('HSCAN', base .. 'turns', scan, 'COUNT', 100)
        local fields = {}
        for i = 1, #reply[2], 2 do
            fields[#fields + 1] = string.gsub(reply[2][i], '.', function(c)
                return string.format('%02x', byte(c))
            end)
        end
        table.sort(fields)
        for _, hex in ipairs(fields) do
            if not field or hex >= field then
                local name = string.gsub(hex, '%x%x', function(x)
                    return string.char(tonumber(x, 16))
                end)
                local here = walk_list(base .. 'key:' .. name,
                                       'k' .. scan .. ',' .. hex,
                                       tonumber(hex == field and at or nil),
                                       hex == field and last or nil)
                if here then
                    return here
                end
            end
        end
        scan, field = reply[1], nil
        if scan == '0' then
            return ''
        end
        if looked >= LOOK_MAX then
            return 'k' .. scan .. ',,0,'
        end
    end
end

local function entry_of(member, here)
    if byte(member, 2) ~= 61 then -- the turn of a limit key may wait there
        add(sub(member, 2), here)
    end
    return true
end
local function id_of(member, here)
    add(member, here)
    return true
end

if wanted == 'ready' then
    answer[1] = ready_page()
elseif wanted == 'ended' or wanted == 'succeeded' or wanted == 'cancelled' or
    wanted == 'expired' then
    answer[1] = ended_page()
elseif wanted == 'dead' or wanted == 'quarantined' then
    answer[1] = walk_set(base .. wanted, false, id_of)
else
    local sets = {scheduled = 'due', running = 'leased'}
    answer[1] = walk_set(base .. (sets[wanted] or wanted), wanted == 'running',
                         entry_of)
end
return answer
