-- work_retention: forgets ended jobs, by age, then by count. A part of work.lua,
-- whose locals it uses.
-- A set that was removed by hand is counted anew.
local kept_change = done_groups == 0 and -done_len or 0
for ms, ids in pairs(kept) do
    call('ZADD', done, string.format('%d', now + tonumber(ms)),
         table.concat(ids, ' '))
    kept_change = kept_change + #ids
end
local function forget(groups)
    for _, group in ipairs(groups) do
        if #forgotten >= PURGE_JOBS_MAX then
            break
        end
        call('ZREM', done, group)
        for id in string.gmatch(group, '%S+') do
            forgotten[#forgotten + 1] = id
            kept_change = kept_change - 1
        end
    end
end
forget(call('ZRANGEBYSCORE', done, '-inf', now_text, 'LIMIT', '0', PURGE_MAX))
while done_len + kept_change > done_max and #forgotten < PURGE_JOBS_MAX do
    local oldest = call('ZRANGE', done, '0', '0')
    if #oldest == 0 then
        kept_change = -done_len
        break
    end
    forget(oldest)
end
if kept_change ~= 0 then
    count('kept', kept_change)
end
if counted.dead then
    local old = call('ZRANGEBYSCORE', dead, '-inf', now - dead_ms, 'LIMIT', '0',
                     PURGE_JOBS_MAX)
    local over = call('ZCARD', dead) - dead_max
    if #old == 0 and over > 0 then
        old = call('ZRANGE', dead, 0, math.min(over, PURGE_JOBS_MAX) - 1)
    end
    if #old > 0 then
        call('ZREM', dead, unpack(old))
        for _, id in ipairs(old) do
            forgotten[#forgotten + 1] = id
        end
    end
end
if #forgotten > 0 then
    if call('HLEN', logged) > 0 then
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
