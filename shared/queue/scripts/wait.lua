#!lua
-- wait: be told on a channel when a job ends.
--
-- KEYS[1] jobs  KEYS[2] state  KEYS[3] waits HASH id -> channels, with spaces
-- ARGV[1] id    ARGV[2] channel
--
-- Returns 1 when the job has ended or is not there: do not wait. Else whoever
-- ends it publishes its id on the channel, once; 0: whenever that is; below 0:
-- the job expires in -1 - that many ms, if it does not run then (ask `control`
-- to end it, no worker may be there). At most 64 channels a job.
-- include: need
local call = need
local match = string.match
local text = call('HGET', KEYS[2], ARGV[1])
local code = text and string.byte(text)
local record = call('HGET', KEYS[1], ARGV[1])
if not record or
    (code and code ~= 82 and code ~= 114 and code ~= 87) then -- 'R' 'r' 'W'
    return 1
end
local answer = 0
local expires = string.byte(record, 3) == 43 and -- '+'
    match(record, '^%S+ %S+ [^ \n]+[^\n]- e(%d+)')
if expires then
-- include: clock
    answer = -1 - math.max(expires - now, 0)
end
local channels = call('HGET', KEYS[3], ARGV[1]) or ''
for channel in string.gmatch(channels, '%S+') do
    if channel == ARGV[2] then
        return answer
    end
end
local _, n = string.gsub(channels, '%S+', '')
if n >= 64 then
    return redis.error_reply('LIMIT too many processes wait for this job')
end
call('HSET', KEYS[3], ARGV[1], channels .. ARGV[2] .. ' ')
return answer
