-- clock: `now`, ms of this server's clock, and `now_text`, the same as text
-- (Lua prints a number anew each time it becomes text: once is enough).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = string.format('%d', now)
