-- room: how many jobs, and bytes of their records, a queue may still take in.
-- Needs need and the locals base, jobs and stats (keys).
--
-- @len_max, @bytes_max: its settings, or nil. What waits is all that is nowhere
-- else.
local function room_of_queue(len_max, bytes_max)
    local len, bytes = math.huge, math.huge
    if len_max then
        len = len_max - (need('HLEN', jobs) - need('ZCARD', base .. 'leased') -
            tonumber(need('HGET', stats, 'kept') or 0) -
            need('ZCARD', base .. 'dead') -
            need('ZCARD', base .. 'quarantined'))
    end
    if bytes_max then
        bytes = bytes_max - tonumber(need('HGET', stats, 'bytes') or 0)
    end
    return len, bytes
end
