-- rate: when the next start of a limit key, or of the queue (a space), is on
-- time.
--
-- GCRA: `rates` holds the time at which a steady stream would make its next
-- start. What arrives earlier than that by no more than the burst may go at
-- once; a burst is what 100 ms hold, at least one. Where that is one, a start
-- that is late by up to 50 ms does not delay the next ones: the rate is that
-- over time.
--
-- Needs the locals call, base, now.
local RATE_BURST_MS, RATE_LATE_MS = 100, 50

local function rate_of(key, n, period)
    local step = period / n
    local ahead = (math.max(1, math.floor(RATE_BURST_MS / step)) - 1) * step
    local stands = tonumber(call('HGET', base .. 'rates', key) or 0)
    return {key = key, step = step, ahead = ahead, stands = stands,
            late = ahead == 0 and math.min(step / 2, RATE_LATE_MS) or 0}
end

-- In how many ms the next may start: 0 is now.
local function rate_wait(rate)
    return math.max(0, math.ceil(rate.stands - rate.ahead - now))
end

local function rate_start(rate)
    local from = rate.stands < now - rate.late - rate.step and now or
        math.max(rate.stands, now - rate.late)
    rate.stands = from + rate.step
end

local function rate_keep(rate)
    call('HSET', base .. 'rates', rate.key, string.format('%.3f', rate.stands))
end
