-- check_keys: reads of every key of a fixed name that it takes to end a job or
-- to make it ready, so that a wrong type ends the script before its first
-- write. Needs the locals call and base.
local function check_keys()
    for _, name in ipairs({'jobs', 'state', 'results', 'progress', 'stats',
                           'waits', 'meta', 'unique', 'turns', 'children',
                           'cancels', 'stale', 'logged'}) do
        call('HLEN', base .. name)
    end
    for _, name in ipairs({'due', 'retrying', 'blocked', 'leased', 'dead',
                           'done', 'gone', 'quarantined', 'unlocks'}) do
        call('ZCARD', base .. name)
    end
    for digit = 0, 9 do
        call('LLEN', base .. 'ready:' .. digit)
    end
    call('LLEN', base .. 'wake')
    call('XLEN', base .. 'outbox')
    call('XLEN', base .. 'events')
end
