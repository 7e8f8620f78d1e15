-- said: what a running job says about itself is an event too, for who listens.
-- @letter: P progress, L log.
local function said(base, id, letter, attempt)
    local watched = redis.call('HGET', base .. 'meta', 'watched')
    if watched and tonumber(watched) > redis.call('TIME')[1] * 1000 then
        redis.call('XADD', base .. 'events', 'MAXLEN', '~', '1000', '*', 'e',
                   id .. ' ' .. letter .. ' ' .. attempt .. '\n')
    end
end
