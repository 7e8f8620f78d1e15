-- check_keys: reads of every key of a fixed name that it takes to end a job or
-- to make it ready, so that a wrong type ends the script before its first
-- write. Needs need, options and the local base.
--
-- Most of them are not there. One command says how many of some are; then each
-- is asked for, until so many were found.
local function check_some(command, names)
    local keys = {}
    for i, name in ipairs(names) do
        keys[i] = base .. name
    end
    local there = redis.call('EXISTS', unpack(keys))
    for _, key in ipairs(keys) do
        if there == 0 then
            break
        elseif need(command, key) > 0 then -- a stream may be empty
            there = there - 1
        end
    end
end

local function check_keys()
    check_some('HLEN', {'jobs', 'stats', 'state', 'results', 'progress',
                        'meta', 'unique', 'turns', 'running', 'children',
                        'waits', 'cancels', 'stale', 'logged'})
    check_some('ZCARD', {'gone', 'done', 'leased', 'due', 'dead', 'retrying',
                         'blocked', 'unlocks', 'quarantined'})
    check_some('LLEN', {'ready:5', 'wake', 'ready:9', 'ready:8', 'ready:7',
                        'ready:6', 'ready:4', 'ready:3', 'ready:2', 'ready:1',
                        'ready:0'})
    check_some('XLEN', {'outbox', 'events'})
end

-- The list in which a job with a limit key waits, by its record's options.
local function check_key_list(digit, options)
    local key = limit_key_of(options)
    if key then
        need('LLEN', base .. 'key:' .. digit .. key)
    end
end
