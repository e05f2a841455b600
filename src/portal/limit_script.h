// The Redis side of the limiter: one script for all checks of one turn of the event loop.
//
// A key's value is a log: the total (4 bytes), then steps of (time in ms, 6 bytes; admissions, 2 bytes), oldest first,
// little-endian. Quotas up to 100 log each admission at its own millisecond; larger ones in steps of window / 64,
// rounded up, so that both are literal: no window ever holds more than the quota. A lease (want > 1) is logged where
// it may last be used, one second from now. Time is Redis's own; a logged time further ahead than a lease (a clock
// set back) is read as now. What is refused writes nothing.
//
// ARGV[1], for each request: count (1 byte), then for each of its limits, in the order of KEYS:
//   quota (4), window ms (4), want (2), give back (2) logged at (6). want 0 only gives back.
// Answer, for each limit: state (1: 0 refused, 1 admitted, 2 room, but another limit of the request refused),
//   granted (2), remaining (4), ms until the oldest leaves (4), logged at (6).
#pragma once

namespace portal {

inline constexpr char limit_script[] = R"lua(
local unpack, pack, sub, byte, floor = struct.unpack, struct.pack, string.sub, string.byte, math.floor
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)
-- keys expire by a clock read before ours: kept a little longer, what they hold ends by ours
local spare = 100

-- a log without what has left the window and without what is given back: its total and its steps
local function read(log, window, step, back, back_at)
    local length = #log
    local total = unpack('<I4', log)
    if unpack('<I6', log, length - 7) > now + 1000 + step then
        local parts = {sub(log, 1, 4)}
        for from = 5, length - 7, 8 do
            local time, n = unpack('<I6I2', log, from)
            if time > now then time = now end
            parts[#parts + 1] = pack('<I6I2', time, n)
        end
        log = table.concat(parts)
    end
    local from = 5
    while from < length do
        local time, n = unpack('<I6I2', log, from)
        if n > 0 and time + window > now then break end
        total = total - n
        from = from + 8
    end
    local steps = sub(log, from)
    if back > 0 then
        for place = #steps - 7, 1, -8 do
            local time, n = unpack('<I6I2', steps, place)
            if time == back_at then
                if back > n then back = n end
                steps = sub(steps, 1, place - 1) .. pack('<I6I2', time, n - back) .. sub(steps, place + 8)
                total = total - back
                break
            elseif time < back_at then
                break
            end
        end
    end
    return total, steps
end

local function grant(key, quota, window, want, step, total, steps)
    local logged = now
    if want > 1 then
        local most = floor((quota - total) / 8)
        if most < 1 then most = 1 end
        if want > most then want = most end
    end
    if step > 1 then
        if want > 1 then logged = logged + 1000 end
        logged = floor((logged + step - 1) / step) * step
    end
    local n = want
    local last = #steps - 7
    if last > 0 then
        local time, before = unpack('<I6I2', steps, last)
        if time >= logged and before + n < 65536 then
            logged = time
            n = n + before
            steps = sub(steps, 1, last - 1)
        end
    end
    total = total + want
    steps = steps .. pack('<I6I2', logged, n)
    call('PSETEX', key, logged + window - now + spare, pack('<I4', total) .. steps)
    local remaining = quota - total
    if remaining < 0 then remaining = 0 end
    return pack('<BI2I4I4I6', 1, want, remaining, unpack('<I6', steps) + window - now, logged)
end

-- the answer for a limit that admits nothing; what was given back to it is written
local function refuse(key, quota, window, back, total, steps)
    local state, remaining, reset = 0, 0, window
    if total < quota then
        state = 2
        remaining = quota - total
    end
    if #steps > 0 then
        reset = unpack('<I6', steps) + window - now
        if reset < 0 then reset = 0 end
        local newest = unpack('<I6', steps, #steps - 7)
        if back > 0 and newest + window > now then
            call('PSETEX', key, newest + window - now + spare, pack('<I4', total) .. steps)
        end
    end
    return pack('<BI2I4I4I6', state, 0, remaining, reset, 0)
end

local args = ARGV[1]
local at, size, key = 1, #args, 0
local out = {}
while at <= size do
    local count = byte(args, at)
    at = at + 1
    local limits, refused = nil, false
    for i = 1, count do
        local quota, window, want, back, back_at
        quota, window, want, back, back_at, at = unpack('<I4I4I2I2I6', args, at)
        key = key + 1
        local step = 1
        if quota > 100 then
            step = floor(window / 64)
            if step < 1 then step = 1 end
        end
        local total, steps = 0, ''
        local log = call('GET', KEYS[key])
        if log then total, steps = read(log, window, step, back, back_at) end
        if count == 1 and want > 0 and total < quota then
            out[key] = grant(KEYS[key], quota, window, want, step, total, steps)
        else
            refused = refused or want == 0 or total >= quota
            limits = limits or {}
            limits[i] = {quota, window, want, back, step, total, steps}
        end
    end
    for i, limit in ipairs(limits or {}) do
        local name = KEYS[key - count + i]
        local quota, window, want, back, step, total, steps =
            limit[1], limit[2], limit[3], limit[4], limit[5], limit[6], limit[7]
        if refused then
            out[key - count + i] = refuse(name, quota, window, back, total, steps)
        else
            out[key - count + i] = grant(name, quota, window, want, step, total, steps)
        end
    end
end
return table.concat(out)
)lua";

}  // namespace portal
