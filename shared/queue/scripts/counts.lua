#!lua flags=no-writes
-- counts: the depth of a queue by state, and its totals.
--
-- KEYS[1] jobs  KEYS[2] due  KEYS[3] leased  KEYS[4] dead  KEYS[5] quarantined
-- KEYS[6] stats  KEYS[7] meta
-- KEYS[8..17] ready LISTs  KEYS[18] retrying
--
-- Returns {ready, due, leased, dead, quarantined, paused, oldest, now, name, n,
-- name, n, ...}: oldest is the creation time (ms) of the job that has
-- waited longest at the head of a ready list, 0 without one; then the totals
-- (`kept`: ended jobs that can still be looked up) and, last, `retrying` and its
-- length.
-- include: clock
local ready, oldest = 0, 0
for k = 8, 17 do
    local n = redis.call('LLEN', KEYS[k])
    ready = ready + n
    if n > 0 then
        local head = string.sub(redis.call('LINDEX', KEYS[k], 0), 2)
        local record = redis.call('HGET', KEYS[1], head)
        local created = record and tonumber(string.match(record, '^%d%d. (%d+)'))
        if created and (oldest == 0 or created < oldest) then
            oldest = created
        end
    end
end
local answer = {
    ready, redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]),
    redis.call('ZCARD', KEYS[4]), redis.call('ZCARD', KEYS[5]),
    redis.call('HGET', KEYS[7], 'paused') == '1' and 1 or 0, oldest,
    now,
}
for _, word in ipairs(redis.call('HGETALL', KEYS[6])) do
    answer[#answer + 1] = word
end
answer[#answer + 1] = 'retrying'
answer[#answer + 1] = redis.call('ZCARD', KEYS[18])
return answer
