#!lua flags=no-writes
-- get: all that is known of one job, at one moment.
--
-- KEYS[1] jobs, which gives the names of blocked and cancels too
-- KEYS[2] state  KEYS[3] results  KEYS[4] progress
-- KEYS[5] due   ZSET entry -> due at            KEYS[6] gone ZSET id -> when
-- KEYS[7] retrying ZSET entry -> due at
-- ARGV[1] id
--
-- Returns {record, state, result, progress, due, blocked, cancel}, each false
-- when there is none; due is the time in ms as text, blocked since when it
-- waits for its parents, cancel when it was asked to stop while it runs, the
-- grace ms and perhaps the cause (a JSON string). Without a record: 'gone' when
-- the job is past its retention, else false.
-- include: need
local call = need
local record = call('HGET', KEYS[1], ARGV[1])
if not record then
    return call('ZSCORE', KEYS[6], ARGV[1]) and 'gone' or false
end
local base = string.sub(KEYS[1], 1, -5)
local text = call('HGET', KEYS[2], ARGV[1])
-- include: place
local place, since = 'ready', false
if not text or string.sub(text, 1, 1) == 'W' then
    place, since = place_of(string.sub(record, 2, 2) .. ARGV[1])
end
return {
    record,
    text,
    call('HGET', KEYS[3], ARGV[1]),
    call('HGET', KEYS[4], ARGV[1]),
    place ~= 'blocked' and since or false,
    place == 'blocked' and since or false,
    call('HGET', base .. 'cancels', ARGV[1]),
}
