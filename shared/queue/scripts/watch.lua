#!lua
-- watch: have changes of state written to the queue's events for a while.
--
-- KEYS[1] meta HASH settings   KEYS[2] events STREAM of changes
-- ARGV[1] for how long, ms
--
-- Returns the id behind which what is written from now on lies. Listeners
-- repeat it before the time is over; when the last one has left, writing ends
-- by itself. Where it begins anew lies an entry with the field w: between it
-- and the one before, changes were not written.
-- include: need
local call = need
-- include: clock
local watched = tonumber(call('HGET', KEYS[1], 'watched')) or 0
local last = call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local until_ms = now + tonumber(ARGV[1])
local id = last and last[1]
if watched <= now or not id then
    id = call('XADD', KEYS[2], 'MAXLEN', '~', '1000', '*', 'w', '')
end
if watched < until_ms then
    call('HSET', KEYS[1], 'watched', string.format('%d', until_ms))
end
return id
