#!lua flags=no-writes
-- logs: the lines of one job, oldest first.
--
-- KEYS[1] jobs  HASH  id -> record; gives the names of the keys below
-- KEYS[2] gone  ZSET  id -> when it was forgotten
-- ARGV[1] id    ARGV[2] the line behind which to begin (its stream id), or ''
-- ARGV[3] how many, 1..1000
--
-- Returns {total, more, line id, attempt, line, ...}: total is how many lines
-- the job ever had (the newest 1,000 are kept), more is 1 when others follow.
-- Without a record: 'gone' when the job is past its retention, else false.
-- include: need
local call = need
if call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    return call('ZSCORE', KEYS[2], ARGV[1]) and 'gone' or false
end
local base = string.sub(KEYS[1], 1, -5)
local limit = tonumber(ARGV[3])
local from = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local lines = call('XRANGE', base .. 'log:' .. ARGV[1], from, '+',
                   'COUNT', limit + 1)
local answer = {tonumber(call('HGET', base .. 'logged', ARGV[1]) or 0),
                #lines > limit and 1 or 0}
for i = 1, math.min(#lines, limit) do
    answer[#answer + 1] = lines[i][1]
    answer[#answer + 1] = lines[i][2][2]
    answer[#answer + 1] = lines[i][2][4]
end
return answer
