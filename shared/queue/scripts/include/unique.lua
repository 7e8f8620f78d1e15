-- unique: who holds a unique key, and for how long. Needs need, options and the
-- locals call, base, jobs (that key), now and now_text.

-- It leaves the while of its unique key, if it has one and holds it.
local function unlock(id, options, ended)
    local hold, ttl, key = unique_of(options)
    if not key or call('HGET', base .. 'unique', key) ~= id then
        return
    end
    if hold == 'e' and ended then
        call('ZADD', base .. 'unlocks', string.format('%d', now + ttl), key)
    elseif hold ~= 'e' then
        call('HDEL', base .. 'unique', key)
        if ttl ~= '0' then
            call('ZREM', base .. 'unlocks', key)
        end
    end
end

-- The holder of a unique key, or nil when it is free. A lock by time is free
-- once that has passed, and one of a job that is not there heals itself.
local function holder_of(key)
    local holder = call('HGET', base .. 'unique', key)
    if not holder then
        return nil
    end
    local ends = tonumber(call('ZSCORE', base .. 'unlocks', key) or nil)
    if ends and ends > now then
        local seen = tonumber(call('HGET', base .. 'meta', 'seen') or 0)
        if seen > now + 5000 then
            -- The clock was set back since: it may be over, and an idle queue
            -- has to be worked for its time to go on.
            if call('LLEN', base .. 'wake') == 0 then
                call('RPUSH', base .. 'wake', '1')
            end
            return ends > seen and holder or nil
        end
        return holder
    elseif ends then
        return nil
    end
    return call('HEXISTS', jobs, holder) == 1 and holder or nil
end

local function lock(id, options)
    local hold, ttl, key = unique_of(options)
    if not key then
        return
    end
    local free = call('HSET', base .. 'unique', key, id) == 1
    if hold ~= 'e' and ttl ~= '0' then
        call('ZADD', base .. 'unlocks', string.format('%d', now + ttl), key)
    elseif not free then -- the time of a lock that had passed
        call('ZREM', base .. 'unlocks', key)
    end
end

-- Takes @n locks off that ended by time.
local function forget_locks(n)
    local keys = need('ZRANGEBYSCORE', base .. 'unlocks', '-inf', now_text,
                      'LIMIT', 0, n)
    if #keys > 0 then
        need('HDEL', base .. 'unique', unpack(keys))
        call('ZREM', base .. 'unlocks', unpack(keys))
    end
end
