-- work_retention: forgets ended jobs, by age, then by count. A part of
-- work.lua, whose locals it uses.
-- A set that was removed by hand is counted anew.
local kept_change = done_head and 0 or -done_len
for ms, ids in pairs(kept) do
    local at = now + tonumber(ms)
    call('ZADD', done, string.format('%d', at), table.concat(ids, ' '))
    done_head = sooner(done_head, at)
    kept_change = kept_change + #ids
end
local purge_max, purged = math.min(PURGE_JOBS_MAX, steps_left(1)), false
local function forget(groups)
    purged = true
    for _, group in ipairs(groups) do
        if #forgotten >= purge_max then
            break
        end
        call('ZREM', done, group)
        for id in string.gmatch(group, '%S+') do
            forgotten[#forgotten + 1] = id
            kept_change = kept_change - 1
        end
    end
end
if done_head and done_head <= now then
    forget(call('ZRANGEBYSCORE', done, '-inf', now_text, 'LIMIT', '0',
                PURGE_MAX))
end
while done_len + kept_change > done_max and #forgotten < purge_max do
    local oldest = call('ZRANGE', done, '0', '0')
    if #oldest == 0 then
        kept_change = -done_len
        break
    end
    forget(oldest)
end
if purged then
    done_head = head_of(done)
end
if kept_change ~= 0 then
    count('kept', kept_change)
end
-- Dead and quarantined jobs are looked at when there is a new one, and now and
-- then besides, so that those of a queue without new ones grow old as well.
-- What is taken off @set: those older than @ms, else those above @most.
local sweep = now - sampled >= SAMPLE_EVERY
local function outdated(set, most, ms, at_most)
    local old = call('ZRANGEBYSCORE', set, '-inf',
                     string.format('%d', now - ms), 'LIMIT', '0', at_most)
    local over = call('ZCARD', set) - most
    if #old == 0 and over > 0 then
        old = call('ZRANGE', set, 0, math.min(over, at_most) - 1)
    end
    if #old > 0 then
        call('ZREM', set, unpack(old))
    end
    return old
end
if counted.dead or (sweep and lengths[7]) then
    for _, id in ipairs(outdated(dead, dead_max, dead_ms, purge_max)) do
        forgotten[#forgotten + 1] = id
    end
end
if counted.quarantined or (sweep and lengths[10]) then
    local kept_for = call('HMGET', meta, 'quarantined_max', 'quarantined_ms')
    local old = outdated(quarantined, tonumber(kept_for[1]) or 10000,
                         tonumber(kept_for[2]) or 2592000000, -- 30 days
                         math.min(purge_max, steps_left(REAP_STEPS)))
    for _, id in ipairs(old) do
        forgotten[#forgotten + 1] = id
        -- Unlike a dead one it has not ended: who waits for it hears of it now.
        local record = call('HGET', jobs, id)
        if record and byte(record, 3) == 43 then -- '+'
            options().job_ended(id, 'C', record, options().of(record),
                                call('HGET', state, id) or '', '',
                                '"quarantined past its retention"')
        end
    end
end
if #forgotten > 0 then
    if lengths[38] then
        local lines = call('HMGET', logged, unpack(forgotten))
        for i, id in ipairs(forgotten) do
            if lines[i] then
                call('HDEL', logged, id)
                call('DEL', base .. 'log:' .. id)
            end
        end
    end
    call('HDEL', jobs, unpack(forgotten))
    call('HDEL', state, unpack(forgotten))
    if results_len > 0 then
        call('HDEL', results, unpack(forgotten))
    end
    if progress_len > 0 then
        call('HDEL', progress, unpack(forgotten))
    end
    local marks = {}
    for i, id in ipairs(forgotten) do
        marks[2 * i - 1] = now_text
        marks[2 * i] = id
    end
    call('ZADD', gone, unpack(marks))
    call('ZREMRANGEBYRANK', gone, '0', -GONE_MAX - 1)
end
