#!lua
-- progress: keep what a running attempt says about its progress.
--
-- KEYS[1] state    HASH  id -> state text
-- KEYS[2] progress HASH  id -> JSON
-- ARGV[1] id       ARGV[2] token of the attempt   ARGV[3] JSON
--
-- Returns 1, or 0 when the lease is not the caller's any more (nothing
-- changed). Not allow-oom: progress is the first thing to go without when
-- memory is full.
-- include: need
local call = need
local base = string.sub(KEYS[1], 1, -6)
-- include: events
-- include: said
local mark = ' ' .. ARGV[2] .. ' '
local text = call('HGET', KEYS[1], ARGV[1])
local code = text and string.byte(text)
if (code ~= 82 and code ~= 114) or string.sub(text, 2, #mark + 1) ~= mark then
    return 0
end
local heard = is_heard()
call('HSET', KEYS[2], ARGV[1], ARGV[3])
if heard then
    said(ARGV[1], 'P', string.match(text, '^%a %S+ (%d+)'))
end
return 1
