#!lua flags=no-writes
-- look: the states of many jobs, and nothing else of them.
--
-- KEYS[1] jobs  KEYS[2] state  KEYS[3] due  KEYS[4] retrying  KEYS[5] blocked
-- KEYS[6] gone
-- ARGV[1..] ids, at most 256
--
-- Returns a letter for each, in order: the state's code (R for a running one
-- however it is marked), N ready, W ready again, w retrying, d scheduled,
-- B blocked, G past its retention, - never heard of.
local call = redis.call
local answer = {}
local records = call('HMGET', KEYS[1], unpack(ARGV))
local texts = call('HMGET', KEYS[2], unpack(ARGV))
for i = 1, #ARGV do
    local id, record = ARGV[i], records[i]
    local code = texts[i] and string.sub(texts[i], 1, 1)
    if not record then
        answer[i] = call('ZSCORE', KEYS[6], id) and 'G' or '-'
    elseif code == 'r' then
        answer[i] = 'R'
    elseif code and code ~= 'W' then
        answer[i] = code
    else
        local entry = string.sub(record, 2, 2) .. id
        if call('ZSCORE', KEYS[5], entry) then
            answer[i] = 'B'
        elseif call('ZSCORE', KEYS[4], entry) then
            answer[i] = 'w'
        elseif call('ZSCORE', KEYS[3], entry) then
            answer[i] = 'd'
        else
            answer[i] = code or 'N'
        end
    end
end
return answer
