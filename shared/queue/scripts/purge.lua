#!lua flags=allow-oom
-- purge: remove jobs of one place of a queue, some at a time.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of all other keys
-- ARGV[1] place  ready, scheduled, retrying, blocked, dead, quarantined, ended
-- ARGV[2] how many at most (a group of ended jobs goes as a whole), and no more
--         than 200, so that no call takes long
--
-- Returns {removed, left}: left is 1 while the place holds more.
--
-- Invariants: those of work.lua. What waits and is removed counts as cancelled
-- for its children; unique keys are free, who waits for an end hears of it.
-- Jobs that run are never touched. allow-oom: it makes room.
-- include: need
local call, sub, byte, match = need, string.sub, string.byte, string.match
local base = sub(KEYS[1], 1, -5)
local jobs = KEYS[1]
local place, most = ARGV[1], math.min(tonumber(ARGV[2]), 200)
-- include: clock
-- include: options
-- include: unique
-- include: ends
-- include: forget
-- include: check_keys
check_keys()

local ids, left = {}, 0
local looked = 0

-- Entries taken off a list: those that count no more are only struck off.
local function take(entries)
    for _, entry in ipairs(entries) do
        if call('HEXISTS', base .. 'stale', entry) == 1 then
            if call('HINCRBY', base .. 'stale', entry, -1) <= 0 then
                call('HDEL', base .. 'stale', entry)
            end
        else
            ids[#ids + 1] = sub(entry, 2)
        end
    end
end

-- The lists of limit keys whose turn this call may come across: of what type
-- they are, before the first write.
local function check_key_lists()
    if call('HLEN', base .. 'turns') == 0 then
        return
    end
    local seen = 0
    for d = 9, 0, -1 do
        local entries = call('LRANGE', base .. 'ready:' .. d, 0,
                             2 * most - seen)
        seen = seen + #entries
        for _, entry in ipairs(entries) do
            if byte(entry, 2) == 61 then
                call('LLEN', base .. 'key:' .. d .. sub(entry, 3))
            end
        end
        if seen > 2 * most then
            return
        end
    end
    local scan = call('HSCAN', base .. 'turns', '0', 'COUNT', 100)[2]
    for i = 1, #scan, 2 do
        call('LLEN', base .. 'key:' .. scan[i])
    end
end

local function purge_key(field)
    local list = base .. 'key:' .. field
    local popped = call('LPOP', list, most - #ids)
    take(popped or {})
    looked = looked + #(popped or {})
    return call('EXISTS', list) == 1
end

local function purge_ready()
    for d = 9, 0, -1 do
        local list = base .. 'ready:' .. d
        while #ids < most and looked < 2 * most do
            local popped = call('LPOP', list, most - #ids)
            if not popped or #popped == 0 then
                break
            end
            looked = looked + #popped
            for _, entry in ipairs(popped) do
                if byte(entry, 2) ~= 61 then
                    take({entry})
                else -- the turn of a limit key: its jobs go with it
                    local field = d .. sub(entry, 3)
                    if #ids < most and not purge_key(field) then
                        call('HDEL', base .. 'turns', field)
                    else
                        call('RPUSH', list, entry)
                    end
                end
            end
        end
        if call('EXISTS', list) == 1 then
            return 1
        end
    end
    -- Keys whose turn lies elsewhere, at a limit: their marks go as they come.
    local scan = call('HSCAN', base .. 'turns', '0', 'COUNT', 100)
    for i = 1, #scan[2], 2 do
        local field = scan[2][i]
        if #ids >= most then
            return 1
        end
        if not purge_key(field) then
            call('HDEL', base .. 'turns', field)
            if call('ZREM', base .. 'due',
                    sub(field, 1, 1) .. '=' .. sub(field, 2)) == 1 then
                call('HINCRBY', base .. 'stats', 'held', -1)
            end
        end
    end
    return call('HLEN', base .. 'turns') > 0 and 1 or 0
end

local function purge_set(key, entries)
    local popped = call('ZPOPMIN', base .. key, most)
    for i = 1, #popped, 2 do
        if not entries then
            ids[#ids + 1] = popped[i]
        elseif byte(popped[i], 2) == 61 then
            looked = looked + 1
            call('ZADD', base .. key, popped[i + 1], popped[i])
        else
            ids[#ids + 1] = sub(popped[i], 2)
        end
    end
    return call('ZCARD', base .. key) > looked and 1 or 0
end

local function purge_ended()
    while #ids < most do
        local group = call('ZPOPMIN', base .. 'done')
        if #group == 0 then
            break
        end
        for id in string.gmatch(group[1], '%S+') do
            ids[#ids + 1] = id
        end
    end
    if #ids > 0 then -- Lua has a -0, Redis has not
        call('HINCRBY', base .. 'stats', 'kept', -#ids)
    end
    return call('EXISTS', base .. 'done')
end

local waited = place == 'ready' or place == 'scheduled' or
    place == 'retrying' or place == 'blocked'
if place == 'ready' then
    check_key_lists()
    left = purge_ready()
elseif place == 'ended' then
    left = purge_ended()
elseif place == 'dead' or place == 'quarantined' then
    left = purge_set(place, false)
elseif waited then
    left = purge_set(place == 'scheduled' and 'due' or place, true)
else
    return redis.error_reply('ERR purge knows no place ' .. place)
end

local removed = 0
local waits = call('HLEN', base .. 'waits') > 0
local children = call('HLEN', base .. 'children') > 0
local limited = waited and call('HEXISTS', base .. 'stats', 'bytes') == 1
for first = 1, #ids, 500 do
    local some = {unpack(ids, first, math.min(first + 499, #ids))}
    local records = call('HMGET', jobs, unpack(some))
    local texts = limited and call('HMGET', base .. 'state', unpack(some))
    local bytes = 0
    for i, id in ipairs(some) do
        local record = records[i]
        if record then
            removed = removed + 1
            if limited and not texts[i] then -- as in control
                bytes = bytes + #record
            end
            if children or byte(record, 3) == 43 then
                local options = options_of(record)
                if waited or place == 'quarantined' then
                    job_ended(id, 'C', record, options, '', '', '"purged"')
                end
                release_key(id, options.u)
            end
            if waits then
                tell_waiters(id)
            end
        end
    end
    if bytes > 0 then
        call('HINCRBY', base .. 'stats', 'bytes', -bytes)
    end
    forget(some)
end
if ends_woke and call('LLEN', base .. 'wake') == 0 then
    call('RPUSH', base .. 'wake', '1')
end
return {removed, left}
