-- let_go: what hangs on a job that an operator ends or removes.
-- Needs the locals base, queue and now_text.
local GONE_MAX = 10000

-- An option of a record, by its letter; @head is the record's first line.
local function option_of(head, letter)
    local _, task_end = string.find(head, '^%S+ %S+ %S+')
    return string.match(head, ' ' .. letter .. '(%S*)', task_end)
end

local function release_key(id, head)
    local key = string.match(option_of(head, 'u') or '', '^%a,%d+,(.*)$')
    if key and redis.call('HGET', base .. 'unique', key) == id then
        redis.call('HDEL', base .. 'unique', key)
        redis.call('ZREM', base .. 'unlocks', key)
    end
end

local function tell_waiters(id)
    local channels = redis.call('HGET', base .. 'waits', id)
    if channels then
        for channel in string.gmatch(channels, '%S+') do
            redis.call('PUBLISH', channel, id)
        end
        redis.call('HDEL', base .. 'waits', id)
    end
end

-- Children may live elsewhere: they hear of it through the outbox.
local function tell_children(id, head, letter)
    local children = string.gsub(option_of(head, 'o') or '', ',', ' ') .. ' ' ..
        (redis.call('HGET', base .. 'children', id) or '')
    for child in string.gmatch(children, '%S+') do
        redis.call('XADD', base .. 'outbox', '*', 'kind', 'end', 'to', child,
                   'from', queue .. '.' .. id, 'code', letter, 'result', '')
    end
    redis.call('HDEL', base .. 'children', id)
    redis.call('DEL', base .. 'in:' .. id)
end

-- Not more ids than unpack() takes (some thousands).
local function forget(ids)
    if #ids == 0 then
        return
    end
    local logged = redis.call('HLEN', base .. 'logged') > 0
    for _, name in ipairs({'jobs', 'state', 'results', 'progress', 'logged',
                           'cancels'}) do
        redis.call('HDEL', base .. name, unpack(ids))
    end
    local marks = {}
    for i, id in ipairs(ids) do
        marks[2 * i - 1], marks[2 * i] = now_text, id
        if logged then
            redis.call('DEL', base .. 'log:' .. id)
        end
    end
    redis.call('ZADD', base .. 'gone', unpack(marks))
    redis.call('ZREMRANGEBYRANK', base .. 'gone', 0, -GONE_MAX - 1)
end
