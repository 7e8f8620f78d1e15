#!lua flags=no-writes
-- counts: the depth of a queue by state, and its totals.
--
-- KEYS[1] jobs  KEYS[2] due  KEYS[3] leased  KEYS[4] dead  KEYS[5] quarantined
-- KEYS[6] stats  KEYS[7] meta
-- KEYS[8..17] ready LISTs  KEYS[18] retrying
--
-- Returns {ready, due, leased, dead, quarantined, paused, oldest, now, name, n,
-- name, n, ...}: oldest is the creation time (ms) of the job that has waited
-- longest at the head of a ready list, 0 without one; then the totals (`kept`:
-- ended jobs that can still be looked up) and, last, `retrying` and `blocked`
-- and their lengths.
--
-- While there are limit keys or stale entries, the lists do not tell how many
-- jobs are ready: all that are in no other place are.
-- include: clock
-- include: need
local call = need
local base = string.sub(KEYS[1], 1, -5)
local blocked = call('ZCARD', base .. 'blocked')
local retrying = call('ZCARD', KEYS[18])
local kept = tonumber(call('HGET', KEYS[6], 'kept') or 0)
local keyed = call('HGET', KEYS[6], 'keyed')
-- Markers of limit keys among what is due, see work.
local held = tonumber(call('HGET', KEYS[6], 'held') or 0)
local due = call('ZCARD', KEYS[2]) - held
local leased, dead = call('ZCARD', KEYS[3]), call('ZCARD', KEYS[4])
local quarantined = call('ZCARD', KEYS[5])

local ready, oldest = 0, 0
for k = 8, 17 do
    local n = call('LLEN', KEYS[k])
    ready = ready + n
    if n > 0 then
        local head = call('LINDEX', KEYS[k], '0')
        if string.byte(head, 2) == 61 then -- '=': a marker
            head = call('LINDEX', base .. 'key:' .. string.sub(head, 1, 1) ..
                            string.sub(head, 3), '0') or head
        end
        local record = call('HGET', KEYS[1], string.sub(head, 2))
        local created = record and
            tonumber(string.match(record, '^%d%d. (%d+)'))
        if created and (oldest == 0 or created < oldest) then
            oldest = created
        end
    end
end
if keyed or call('EXISTS', base .. 'stale') == 1 then
    ready = math.max(0, call('HLEN', KEYS[1]) - kept - leased - dead -
        quarantined - due - retrying - blocked)
end
local answer = {
    ready, due, leased, dead, quarantined,
    call('HGET', KEYS[7], 'paused') == '1' and 1 or 0, oldest, now,
}
for _, word in ipairs(call('HGETALL', KEYS[6])) do
    answer[#answer + 1] = word
end
for _, word in ipairs({'retrying', retrying, 'blocked', blocked}) do
    answer[#answer + 1] = word
end
return answer
