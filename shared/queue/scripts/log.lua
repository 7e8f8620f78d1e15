#!lua
-- log: keep lines that a running attempt says.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of the keys below
-- KEYS[2] state HASH  id -> state text
-- ARGV[1] id    ARGV[2] token of the attempt   ARGV[3..] lines, at most 64
--
-- Lines go to the STREAM log:<id> with the fields a (the attempt's number) and
-- m (the line), the newest 1,000 of them; `logged` counts all there ever were.
--
-- Returns 1, or 0 when the lease is not the caller's any more (nothing
-- changed). Not allow-oom: log lines are the first thing to go without.
-- include: need
local call = need
local LINES_MAX = 1000
local base = string.sub(KEYS[1], 1, -5)
-- include: events
-- include: said
local id = ARGV[1]
local text = call('HGET', KEYS[2], id)
local code, token, attempt = string.match(text or '', '^(%a) (%S+) (%d+) ')
if (code ~= 'R' and code ~= 'r') or token ~= ARGV[2] or
    call('HEXISTS', KEYS[1], id) == 0 then
    return 0
end
call('HLEN', base .. 'logged')
local heard = is_heard()
for i = 3, #ARGV do
    call('XADD', base .. 'log:' .. id, 'MAXLEN', LINES_MAX, '*', 'a', attempt,
         'm', ARGV[i])
end
if #ARGV > 2 then
    call('HINCRBY', base .. 'logged', id, #ARGV - 2)
    if heard then
        said(id, 'L', attempt)
    end
end
return 1
