#!lua flags=no-writes
-- look: the states of many jobs, and nothing else of them.
--
-- KEYS[1] jobs  KEYS[2] state  KEYS[3] due  KEYS[4] retrying  KEYS[5] blocked
-- KEYS[6] gone
-- ARGV[1..] ids, at most 256
--
-- Returns a letter for each, in order: the state's code (R for a running one
-- however it is marked), N ready, W ready again, w retrying, d scheduled,
-- B blocked, O waits in any of these ways though its expires_at has passed (the
-- verb expire of control ends it), G past its retention, - never heard of.
-- include: need
-- include: clock
local call, sub, match = need, string.sub, string.match
local answer = {}
local records = call('HMGET', KEYS[1], unpack(ARGV))
local texts = call('HMGET', KEYS[2], unpack(ARGV))

-- Those that wait are looked for in all places at once: one command a place.
local waiting, entries = {}, {}
for i, id in ipairs(ARGV) do
    local code = texts[i] and sub(texts[i], 1, 1)
    if not records[i] then
        answer[i] = call('ZSCORE', KEYS[6], id) and 'G' or '-'
    elseif code and code ~= 'W' then
        answer[i] = code == 'r' and 'R' or code
    else
        answer[i] = code or 'N'
        waiting[#waiting + 1] = i
        entries[#entries + 1] = sub(records[i], 2, 2) .. id
    end
end
if #waiting > 0 then
    for letter, key in pairs({d = KEYS[3], w = KEYS[4], B = KEYS[5]}) do
        for n, since in ipairs(call('ZMSCORE', key, unpack(entries))) do
            if since then
                answer[waiting[n]] = letter
            end
        end
    end
end
for _, i in ipairs(waiting) do
    if sub(records[i], 3, 3) == '+' then
        local head = match(records[i], '^[^\n]*')
        local ends = tonumber(match(head, '^%S+ %S+ %S+.- e(%d+)'))
        if ends and ends <= now then
            answer[i] = 'O'
        end
    end
end
return answer
