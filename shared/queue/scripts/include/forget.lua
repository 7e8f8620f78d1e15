-- forget: what hangs on a job that is removed. Needs the locals call, match,
-- base and now_text.
local GONE_MAX = 10000

-- Its unique key, whatever its while is. @unique: the value of the option.
local function release_key(id, unique)
    local _, _, key = unique_of({u = unique})
    if key and call('HGET', base .. 'unique', key) == id then
        call('HDEL', base .. 'unique', key)
        call('ZREM', base .. 'unlocks', key)
    end
end

local function tell_waiters(id)
    local channels = call('HGET', base .. 'waits', id)
    if channels then
        for channel in string.gmatch(channels, '%S+') do
            call('PUBLISH', channel, id)
        end
        call('HDEL', base .. 'waits', id)
    end
end

-- Bytes that wait count until the first claim, where the queue limits them.
-- @text: its state as it was, or nil.
local function stops_waiting(record, text)
    if not text and call('HEXISTS', base .. 'stats', 'bytes') == 1 then
        call('HINCRBY', base .. 'stats', 'bytes', -#record)
    end
end

-- Not more ids than unpack() takes (some thousands).
local function forget(ids)
    if #ids == 0 then
        return
    end
    local logged = call('HLEN', base .. 'logged') > 0
    for _, name in ipairs({'jobs', 'state', 'results', 'progress', 'logged',
                           'cancels', 'children'}) do
        call('HDEL', base .. name, unpack(ids))
    end
    local marks = {}
    for i, id in ipairs(ids) do
        marks[2 * i - 1], marks[2 * i] = now_text, id
        if logged then
            call('DEL', base .. 'log:' .. id)
        end
    end
    call('ZADD', base .. 'gone', unpack(marks))
    call('ZREMRANGEBYRANK', base .. 'gone', '0', -GONE_MAX - 1)
end
