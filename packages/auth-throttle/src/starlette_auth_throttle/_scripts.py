"""The two scripts that Redis runs, each atomically and by its own clock.

They take and return whole numbers, and times in microseconds. Lua writes a large number as
`1.7e+15`, which is not the same number any more: `%.0f` writes all of its digits.
"""

__all__ = ["ADMITTED", "BEGIN", "BLOCKED", "END", "LATE", "REFUSED"]

#: What `BEGIN` returns first; the time of the server is second.
ADMITTED, REFUSED, BLOCKED, LATE = range(4)

#: Takes a place in one bucket for each slot, or in none.
#:
#: KEYS: for each slot the failures and the places in flight of all, the same of the trusted pair,
#: and the account's trusted places.
#: ARGV: the attempt; how long a place is kept; after when it is too late (0: never); the numbers of
#: the answers BLOCKED, LATE, …; for each slot how many failures, the period, and its place or "".
#:
#: It returns ADMITTED and 0 or 1 for each slot (1: in the bucket of the pair); REFUSED and for how
#: long; BLOCKED, by which slot, and by which of its two buckets; or LATE.
BEGIN = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local attempt, lease, latest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if latest > 0 and now > latest then
  return {3, now}
end
local function text(number)
  return string.format('%.0f', number)
end
local refused, blocked, chosen = 0, nil, {}
for slot = 1, #KEYS / 5 do
  local first = slot * 5 - 4
  local failures = tonumber(ARGV[slot * 3 + 1])
  local per = tonumber(ARGV[slot * 3 + 2])
  local place = ARGV[slot * 3 + 3]
  local trusted = place ~= '' and redis.call('ZSCORE', KEYS[first + 4], place)
  local pair = (trusted and tonumber(trusted) > now) and 1 or 0
  chosen[slot] = pair
  local failed, flying = KEYS[first + pair * 2], KEYS[first + pair * 2 + 1]
  redis.call('ZREMRANGEBYSCORE', failed, '-inf', text(now - per))
  redis.call('ZREMRANGEBYSCORE', flying, '-inf', text(now))
  local count = redis.call('ZCARD', failed)
  if redis.call('ZSCORE', failed, attempt) or redis.call('ZSCORE', flying, attempt) then
    -- It has a place: it failed there before, or the client has sent this twice.
  elseif count >= failures then
    local oldest = redis.call('ZRANGE', failed, count - failures, count - failures, 'WITHSCORES')
    refused = math.max(refused, tonumber(oldest[2]) + per - now)
  elseif not blocked and count + redis.call('ZCARD', flying) >= failures then
    blocked = slot
  end
end
if refused > 0 then
  return {1, now, refused}
end
if blocked then
  return {2, now, blocked - 1, chosen[blocked]}
end
for slot = 1, #KEYS / 5 do
  local first = slot * 5 - 4 + chosen[slot] * 2
  redis.call('ZREM', KEYS[first], attempt)
  redis.call('ZADD', KEYS[first + 1], text(now + lease), attempt)
  redis.call('PEXPIRE', KEYS[first + 1], text(math.ceil(lease / 1000)))
end
return {0, now, unpack(chosen)}
"""

#: Ends places.
#:
#: KEYS: for each claim the failures and the places in flight, then for each account its trusted
#: places.
#: ARGV: the attempt; the outcome (0: given back, 1: failure, 2: success); how many claims; how many
#: trusted places an account has at most; for each claim how many failures, the period, and whether
#: a success clears it (1) or not (0); for each account the place, and how long it is trusted.
#:
#: It returns 1, or 0 for a failure that can't be counted within the limits; and the time.
END = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local attempt, outcome, claims = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function text(number)
  return string.format('%.0f', number)
end
local counted = 1
for claim = 1, claims do
  local failed, flying = KEYS[claim * 2 - 1], KEYS[claim * 2]
  local failures, per = tonumber(ARGV[claim * 3 + 2]), tonumber(ARGV[claim * 3 + 3])
  local held = redis.call('ZREM', flying, attempt) == 1
  if outcome == 1 and not held and not redis.call('ZSCORE', failed, attempt) then
    -- Its place was kept for long, and is another one's by now unless there is room.
    redis.call('ZREMRANGEBYSCORE', failed, '-inf', text(now - per))
    redis.call('ZREMRANGEBYSCORE', flying, '-inf', text(now))
    if redis.call('ZCARD', failed) + redis.call('ZCARD', flying) >= failures then
      counted = 0
    end
  end
end
for claim = 1, claims do
  local failed, per = KEYS[claim * 2 - 1], tonumber(ARGV[claim * 3 + 3])
  if outcome == 1 and counted == 1 then
    redis.call('ZADD', failed, text(now), attempt)
    redis.call('PEXPIRE', failed, text(math.ceil(per / 1000)))
  elseif outcome == 2 and ARGV[claim * 3 + 4] == '1' then
    redis.call('DEL', failed)
  elseif outcome == 2 then
    redis.call('ZREM', failed, attempt)
  end
end
if outcome == 2 then
  for account = 1, #KEYS - claims * 2 do
    local trusted = KEYS[claims * 2 + account]
    local place = ARGV[claims * 3 + 4 + account * 2 - 1]
    local trust = tonumber(ARGV[claims * 3 + 4 + account * 2])
    redis.call('ZREMRANGEBYSCORE', trusted, '-inf', text(now))
    redis.call('ZADD', trusted, text(now + trust), place)
    redis.call('ZREMRANGEBYRANK', trusted, 0, -1 - tonumber(ARGV[4]))
    local left = math.max(math.ceil(trust / 1000), redis.call('PTTL', trusted))
    redis.call('PEXPIRE', trusted, text(left))
  end
end
return {counted, now}
"""
