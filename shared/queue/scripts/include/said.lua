-- said: what a running job says about itself is an event too, for who listens.
-- Needs need.

-- Whether somebody does; before the first write, as it looks at the key's type.
local function is_heard(base)
    local watched = need('HGET', base .. 'meta', 'watched')
    return watched and tonumber(watched) > redis.call('TIME')[1] * 1000 and
        need('XLEN', base .. 'events') >= 0
end

-- @letter: P progress, L log.
local function said(base, id, letter, attempt)
    need('XADD', base .. 'events', 'MAXLEN', '~', '1000', '*', 'e',
         id .. ' ' .. letter .. ' ' .. attempt .. '\n')
end
