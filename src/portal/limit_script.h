// The Redis side of the limiter: one script for all checks of one turn of the event loop.
//
// A log holds the admissions of one limit's key, oldest first, little-endian, times in ms of Redis's own clock. Quotas
// up to 100 are exact: one time (6 bytes) an admission. Larger ones are logged in steps of window / 64, rounded up: the
// total (4), then (time, 6; admissions, 2). So both are literal: no window ever holds more than the quota. A lease
// (want > 1, larger quotas only) is logged where it may last be used (Zone::lease_time).
// A logged time further ahead than a lease (a clock set back) is read as now. What is refused logs nothing.
//
// Logs of the same form and window are fields of one hash, so that a batch is read and written by one command each.
// What can no longer count goes with its hash: a hash takes logs for a little longer than a window, is then the old
// one, where only logs not found in the young one are looked for, and is unlinked when the next takes its place.
//
// KEYS are pairs, the young and the old hash of each group of logs. ARGV[2] and on are fields, 16 bytes each.
// ARGV[1] is a row of requests, in the order of the fields:
//   0, group (1), count (1), quota (4), window ms (4): that many requests of one exact limit each, the common case;
//   count (1), and for each of a request's limits group (1), quota (4), window ms (4), want (2), for how long in ms (2),
//   give back (2) logged at (6); want 0 only gives back. A group is counted from 0.
// Answer, for each limit: state (1: 0 refused, 1 admitted, 2 room, but another limit of the request refused),
//   granted (2), remaining (4), ms until the oldest leaves (4), logged at (6).
#pragma once

namespace portal {

inline constexpr char limit_script[] = R"lua(
local slice = unpack
local unpack, pack, sub, byte, floor, format =
    struct.unpack, struct.pack, string.sub, string.byte, math.floor, string.format
local call, concat = redis.call, table.concat
local clock = call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)
local args = ARGV[1]
local at, size, field = 1, #args, 1
local out, o = {}, 0
local stamp = pack('<I6', now)

-- A group's hashes. The young one becomes the old one when nothing in that can count any more.
local opened = {}
local function open(group, window)
    local young, old = KEYS[2 * group + 1], KEYS[2 * group + 2]
    if opened[group] then return young, old end
    opened[group] = true
    -- a window, and what may be logged ahead: a step, a lease, a clock set back a little
    local life = window + floor(window / 64) + 11001
    local began = tonumber(call('HGET', young, 'began') or nil)
    if began and now >= began + life then
        call('UNLINK', old)
        call('RENAME', young, old)
        began = nil
    end
    if not began or began > now + 1000 then
        call('HSET', young, 'began', format('%d', now))
        call('PEXPIRE', young, format('%d', 2 * life + 10000))   -- where nobody comes to unlink it
    end
    return young, old
end

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

-- the logs of the next `count` fields, false where there is none
local function read(young, old, count)
    local logs = call('HMGET', young, slice(ARGV, field + 1, field + count))
    local missing, places, n = {}, {}, 0
    for i = 1, count do
        if not logs[i] then
            n = n + 1
            missing[n], places[n] = ARGV[field + i], i
        end
    end
    if n > 0 and call('EXISTS', old) == 1 then
        local found = call('HMGET', old, slice(missing))
        for i = 1, n do logs[places[i]] = found[i] end
    end
    return logs
end

-- requests of one admission of one exact limit each, all with the same quota and window
local function run(group, count, quota, window)
    local young, old = open(group, window)
    local logs = read(young, old, count)
    local fresh, written, w = {}, {}, 0
    for i = 1, count do
        local name = ARGV[field + i]
        local log = fresh[name] or logs[i] or ''
        local from, oldest, changed, logged, entry = 1, nil, false, now, stamp
        if #log > 0 then
            local newest = unpack('<I6', log, #log - 5)
            if newest > now + 1000 then
                log, changed = repaired(log, 1, 6), true
            elseif newest > now then
                logged, entry = newest, pack('<I6', newest)   -- never back
            end
            from, oldest = living(log, window)
        end
        local total = (#log + 1 - from) / 6
        local state = total < quota and 1 or 0
        if state == 1 or changed then
            if from > 1 then log = sub(log, from) end
            if state == 1 then log = log .. entry end
            fresh[name] = log
            written[w + 1], written[w + 2] = name, log
            w = w + 2
        end
        local remaining = quota - total - state
        if remaining < 0 then remaining = 0 end
        o = o + 1
        out[o] = pack('<BI2I4I4I6', state, state, remaining, (oldest or now) + window - now, state * logged)
    end
    if w > 0 then call('HSET', young, slice(written)) end
    field = field + count
end

local hashes, quotas, windows, wants, steps, leases, totals, logs, changes = {}, {}, {}, {}, {}, {}, {}, {}, {}

-- a request of several limits, of leases, or giving something back
local function several(count)
    local refused = false
    for i = 1, count do
        local group, quota, window, want, lease, back, back_at
        group, quota, window, want, lease, back, back_at, at = unpack('<BI4I4I2I2I2I6', args, at)
        local exact = quota <= 100
        local step = exact and 1 or floor(window / 64)
        if step < 1 then step = 1 end
        local longest = quota >= 10000 and window >= 60000 and 10000 or 1000
        local total, changed = 0, back > 0
        local young, old = open(group, window)
        local log = call('HGET', young, ARGV[field + i]) or call('HGET', old, ARGV[field + i]) or ''
        if #log > 0 and exact then
            if unpack('<I6', log, #log - 5) > now + 1000 + step then log, changed = repaired(log, 1, 6), true end
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
        elseif #log > 0 then
            local length = #log
            total = unpack('<I4', log)
            if unpack('<I6', log, length - 7) > now + longest + step then log, changed = repaired(log, 5, 8), true end
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
        hashes[i], quotas[i], windows[i], wants[i], steps[i], leases[i], totals[i], logs[i], changes[i] =
            young, quota, window, want, step, lease, total, log, changed
    end
    for i = 1, count do
        local quota, window, want, step, total, log = quotas[i], windows[i], wants[i], steps[i], totals[i], logs[i]
        local exact = quota <= 100
        local state, grant, logged = 0, 0, 0
        if want > 0 and not refused then
            state, grant, logged = 1, 1, now
            if exact then
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
        if state == 1 or changes[i] then
            local whole = (exact or #log == 0) and log or pack('<I4', total) .. log
            call('HSET', hashes[i], ARGV[field + i], whole)   -- empty, too: the old hash may have it otherwise
        end
        local reset = #log > 0 and unpack('<I6', log) + window - now or window
        if reset < 0 then reset = 0 end
        local remaining = quota - total
        if remaining < 0 then remaining = 0 end
        o = o + 1
        out[o] = pack('<BI2I4I4I6', state, grant, remaining, reset, logged)
    end
    field = field + count
end

while at <= size do
    local count = byte(args, at)
    at = at + 1
    if count == 0 then
        local group, quota, window
        group, count, quota, window, at = unpack('<BBI4I4', args, at)
        run(group, count, quota, window)
    else
        several(count)
    end
end
return concat(out)
)lua";

}  // namespace portal
