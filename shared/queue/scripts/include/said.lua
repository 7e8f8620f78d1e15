-- said: what a running job says about itself is an event too, for who listens.
-- Needs events and the locals call and base.

-- Whether somebody does; before the first write, as it looks at the key's type.
local function is_heard()
    local watched = call('HGET', base .. 'meta', 'watched')
    return watched and tonumber(watched) > redis.call('TIME')[1] * 1000 and
        call('XLEN', base .. 'events') >= 0
end

-- @letter: P progress, L log.
local function said(id, letter, attempt)
    tell_listeners(id .. ' ' .. letter .. ' ' .. attempt .. '\n')
end
