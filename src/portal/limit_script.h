// The Redis side of the limiter: one script for all checks of one turn of the event loop.
//
// A key's value is a log of admissions, oldest first, little-endian, times in ms of Redis's own clock. Quotas up to
// 100 are exact: one time (6 bytes) an admission, key "portal:{...}:x". Larger ones are logged in steps of window / 64,
// rounded up: the total (4), then (time, 6; admissions, 2), key "portal:{...}:s". So both are literal: no window ever
// holds more than the quota. A lease (want > 1, larger quotas only) is logged where it may last be used, one second
// from now, or four (Zone::lease_time). A logged time further ahead than a lease (a clock set back) is read as now.
// What is refused writes nothing.
//
// ARGV[1] is a row of requests, in the order of KEYS:
//   0, count (1), quota (4), window ms (4): that many requests of one exact limit each, the common case;
//   count (1), and for each of a request's limits quota (4), window ms (4), want (2), give back (2) logged at (6);
//   want 0 only gives back.
// Answer, for each limit: state (1: 0 refused, 1 admitted, 2 room, but another limit of the request refused),
//   granted (2), remaining (4), ms until the oldest leaves (4), logged at (6).
#pragma once

namespace portal {

inline constexpr char limit_script[] = R"lua(
local unpack, pack, sub, byte, floor, format =
    struct.unpack, struct.pack, string.sub, string.byte, math.floor, string.format
local call, concat = redis.call, table.concat
local clock = call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)
local args = ARGV[1]
local at, size, key = 1, #args, 0
local out, o = {}, 0
local stamp = pack('<I6', now)
-- keys expire by a clock read before ours: kept a little longer, what they hold ends by ours
local spare = 100

-- a clock set back: what is logged ahead by more than a lease is read as now
local function repaired(log, from, stride)
    local parts = {sub(log, 1, from - 1)}
    for place = from, #log - 5, stride do
        local time = unpack('<I6', log, place)
        if time > now then time = now end
        parts[#parts + 1] = pack('<I6', time) .. sub(log, place + 6, place + stride - 1)
    end
    return concat(parts)
end

-- where an exact log's living part begins, and its oldest time; nil when all of it is over
local function living(log, window)
    local time = unpack('<I6', log)
    if time + window > now then return 1, time end
    local length = #log
    for from = 7, length, 6 do
        time = unpack('<I6', log, from)
        if time + window > now then return from, time end
    end
    return length + 1
end

-- it may grow by APPEND for three windows, which is cheaper than to write it anew each time
local function write_exact(name, log, oldest, window)
    call('PSETEX', name, format('%d', oldest + 4 * window + spare - now), log)
end

-- requests of one admission of one exact limit each, all with the same quota and window
local function run(count, quota, window)
    for i = 1, count do
        local name = KEYS[key + i]
        local log = call('GET', name)
        local state, total, reset, logged, entry = 1, 0, window, now, stamp
        if log then
            local length = #log
            local newest = unpack('<I6', log, length - 5)
            local ahead = newest > now
            if newest > now + 1000 then
                log = repaired(log, 1, 6)
            elseif ahead then
                logged, entry = newest, pack('<I6', newest)   -- never back
            end
            local first = unpack('<I6', log)
            local from, oldest = 1, first
            if first + window <= now then from, oldest = living(log, window) end
            total = (length + 1 - from) / 6
            if oldest then reset = oldest + window - now else oldest = now end
            if total >= quota then
                state = 0
            elseif from > 48 or ahead or first + 3 * window < now then
                write_exact(name, sub(log, from) .. entry, oldest, window)
            else
                call('APPEND', name, entry)
            end
        else
            write_exact(name, stamp, now, window)
        end
        local remaining = quota - total - state
        if remaining < 0 then remaining = 0 end
        o = o + 1
        out[o] = pack('<BI2I4I4I6', state, state, remaining, reset, state * logged)
    end
    key = key + count
end

local quotas, windows, wants, backs, steps, leases, totals, logs = {}, {}, {}, {}, {}, {}, {}, {}

-- a request of several limits, of leases, or giving something back
local function several(count)
    local refused = false
    for i = 1, count do
        local quota, window, want, back, back_at
        quota, window, want, back, back_at, at = unpack('<I4I4I2I2I6', args, at)
        local exact = quota <= 100
        local step = exact and 1 or floor(window / 64)
        if step < 1 then step = 1 end
        local lease = quota >= 10000 and window >= 60000 and 4000 or 1000
        local total = 0
        local log = call('GET', KEYS[key + i])
        if log and exact then
            if unpack('<I6', log, #log - 5) > now + 1000 + step then log = repaired(log, 1, 6) end
            log = sub(log, (living(log, window)))
            if back > 0 then
                for place = #log - 5, 1, -6 do
                    if unpack('<I6', log, place) == back_at then
                        log = sub(log, 1, place - 1) .. sub(log, place + 6)
                        break
                    end
                end
            end
            total = #log / 6
        elseif log then
            local length = #log
            total = unpack('<I4', log)
            if unpack('<I6', log, length - 7) > now + lease + step then log = repaired(log, 5, 8) end
            local from = 5
            while from < length do
                local time, n = unpack('<I6I2', log, from)
                if n > 0 and time + window > now then break end
                total = total - n
                from = from + 8
            end
            log = sub(log, from)
            if back > 0 then
                for place = #log - 7, 1, -8 do
                    local time, n = unpack('<I6I2', log, place)
                    if time <= back_at then
                        if time == back_at then
                            if back > n then back = n end
                            log = sub(log, 1, place - 1) .. pack('<I6I2', time, n - back) .. sub(log, place + 8)
                            total = total - back
                        end
                        break
                    end
                end
            end
        end
        if want > 0 and total >= quota then refused = true end
        quotas[i], windows[i], wants[i], backs[i], steps[i], leases[i], totals[i], logs[i] =
            quota, window, want, back, step, lease, total, log or ''
    end
    for i = 1, count do
        local quota, window, want, step, total, log = quotas[i], windows[i], wants[i], steps[i], totals[i], logs[i]
        local name = KEYS[key + i]
        local state, grant, logged = 0, 0, 0
        if want > 0 and not refused then
            state, grant, logged = 1, 1, now
            if quota <= 100 then
                local newest = #log > 0 and unpack('<I6', log, #log - 5) or 0
                if newest > now then logged = newest end
                log = log .. pack('<I6', logged)
            else
                grant = want
                if grant > 1 then
                    local most = floor((quota - total) / 8)
                    if most < 1 then most = 1 end
                    if grant > most then grant = most end
                    if grant > 1 then logged = logged + leases[i] end
                end
                logged = floor((logged + step - 1) / step) * step
                local n, last = grant, #log - 7
                if last > 0 then
                    local time, before = unpack('<I6I2', log, last)
                    if time >= logged and before + n < 65536 then
                        logged, n, log = time, n + before, sub(log, 1, last - 1)
                    end
                end
                log = log .. pack('<I6I2', logged, n)
            end
            total = total + grant
        elseif total < quota then
            state = 2
        end
        local reset = window
        if #log > 0 then
            local oldest = unpack('<I6', log)
            reset = oldest + window - now
            if state == 1 or backs[i] > 0 then
                if quota <= 100 then
                    write_exact(name, log, oldest, window)
                else
                    local left = unpack('<I6', log, #log - 7) + window - now
                    if left > 0 then
                        call('PSETEX', name, format('%d', left + spare), pack('<I4', total) .. log)
                    end
                end
            end
        elseif backs[i] > 0 then
            call('DEL', name)
        end
        if reset < 0 then reset = 0 end
        local remaining = quota - total
        if remaining < 0 then remaining = 0 end
        o = o + 1
        out[o] = pack('<BI2I4I4I6', state, grant, remaining, reset, logged)
    end
    key = key + count
end

while at <= size do
    local count = byte(args, at)
    at = at + 1
    if count == 0 then
        local quota, window
        count, quota, window, at = unpack('<BI4I4', args, at)
        run(count, quota, window)
    else
        several(count)
    end
end
return concat(out)
)lua";

}  // namespace portal
