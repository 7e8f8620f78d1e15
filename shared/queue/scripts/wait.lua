#!lua
-- wait: be told on a channel when a job ends.
--
-- KEYS[1] jobs  KEYS[2] state  KEYS[3] waits HASH id -> channels, with spaces
-- ARGV[1] id    ARGV[2] channel
--
-- Returns 1 when the job has ended or is not there: do not wait. 0: whoever
-- ends it publishes its id on the channel, once. At most 64 channels a job.
-- include: need
local call = need
local text = call('HGET', KEYS[2], ARGV[1])
local code = text and string.byte(text)
if call('HEXISTS', KEYS[1], ARGV[1]) == 0 or
    (code and code ~= 82 and code ~= 114 and code ~= 87) then -- 'R' 'r' 'W'
    return 1
end
local channels = call('HGET', KEYS[3], ARGV[1]) or ''
for channel in string.gmatch(channels, '%S+') do
    if channel == ARGV[2] then
        return 0
    end
end
local _, n = string.gsub(channels, '%S+', '')
if n >= 64 then
    return redis.error_reply('LIMIT too many processes wait for this job')
end
call('HSET', KEYS[3], ARGV[1], channels .. ARGV[2] .. ' ')
return 0
