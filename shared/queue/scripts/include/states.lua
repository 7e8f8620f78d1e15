-- states: reads and writes the state text. Needs the locals
-- match, sub, find and now_text.
--
-- The state's first line is
--   code token attempt retries crashes lost worker started[ ended]
-- and each line after it one ended attempt:
--   number outcome started ended worker message
local function parse(text)
    local token, attempt, retries, crashes, lost, worker, started = match(
        text, '^%a (%S+) (%d+) (%d+) (%d+) (%d+) (%S+) (%d+)')
    if not token then
        return nil
    end
    return {token = token, attempt = tonumber(attempt),
            retries = tonumber(retries), crashes = tonumber(crashes),
            lost = tonumber(lost), worker = worker, started = started,
            history = sub(text, (find(text, '\n', 1, true) or #text) + 1)}
end

-- What is said of one that ends before its first attempt.
local function never_ran()
    return {token = '-', attempt = 0, retries = 0, crashes = 0, lost = 0,
            worker = '-', started = 0, history = ''}
end

local function format(code, s, ended)
    return code .. ' ' .. s.token .. ' ' .. s.attempt .. ' ' .. s.retries ..
        ' ' .. s.crashes .. ' ' .. s.lost .. ' ' .. s.worker .. ' ' ..
        s.started .. (ended and ' ' .. now_text or '') .. '\n' .. s.history
end

local HISTORY_MAX = 20 -- attempts kept

local function remember(s, outcome, message)
    local _, lines = string.gsub(s.history, '\n', '')
    if lines >= HISTORY_MAX then
        s.history = sub(s.history, find(s.history, '\n', 1, true) + 1)
    end
    s.history = s.history .. s.attempt .. ' ' .. outcome .. ' ' .. s.started ..
        ' ' .. now_text .. ' ' .. s.worker .. ' ' .. message .. '\n'
end
