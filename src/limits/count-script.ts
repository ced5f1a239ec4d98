/**
 * Counts one request in Redis, in all of its counts or in none, as one step of Redis.
 *
 * KEYS: one for each count. ARGV: the moment in microseconds, or '' for Redis's own clock; then for each count its
 * policy, how many it allows, and its window's length in microseconds. It answers three whole numbers for each count
 * that it asked, up to the one that refused: whether it allows the request (1 or 0), how many more it would allow, and
 * the microseconds until that grows.
 *
 * A subject is a list of moments, oldest first: exact, and small, since Redis packs numbers. A key is a hash of two
 * windows, as in approximate-window.ts. Every key expires by itself once nothing in it counts any more; a second later,
 * for Redis rounds to milliseconds.
 *
 * Redis's clock may go back, as after a failover. What is dated later than now is then dated now: it counts for
 * longer than it should, at most for one window, and is never forgotten early.
 */
export const COUNT_SCRIPT = `
local SLACK_MS = 1000
-- As many values as one call may safely take.
local PART = 1000

local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = tonumber(ARGV[1])
end

-- Lua would write a number this large as 1.79e+15.
local function whole(number)
  return string.format('%.0f', number)
end

local function keepFor(key, microseconds)
  redis.call('PEXPIRE', key, whole(math.ceil(microseconds / 1000) + SLACK_MS))
end

-- How many of a list's moments are not later than this one: steps from the start that double, then halves of the last.
local function countUntil(key, length, moment)
  local within, beyond, step = 0, length, 1
  while within < beyond do
    local index = math.min(within + step, beyond) - 1
    if tonumber(redis.call('LINDEX', key, index)) > moment then
      beyond = index
      break
    end
    within = index + 1
    step = step * 2
  end
  while within < beyond do
    local middle = math.floor((within + beyond) / 2)
    if tonumber(redis.call('LINDEX', key, middle)) > moment then
      beyond = middle
    else
      within = middle + 1
    end
  end
  return within
end

local function dateAgain(key, length, window)
  local late = length - countUntil(key, length, now)
  redis.call('LTRIM', key, 0, -late - 1)
  local moments = {}
  for index = 1, math.min(late, PART) do
    moments[index] = whole(now)
  end
  while late > 0 do
    redis.call('RPUSH', key, unpack(moments, 1, math.min(late, PART)))
    late = late - PART
  end
  keepFor(key, window)
end

local function askSubject(key, limit, window)
  local length = redis.call('LLEN', key)
  if length > 0 then
    if tonumber(redis.call('LINDEX', key, -1)) > now then
      dateAgain(key, length, window)
    end
    local gone = countUntil(key, length, now - window)
    if gone > 0 then
      redis.call('LTRIM', key, gone, -1)
      length = length - gone
    end
  end
  -- The moment that must run out before there is room for one more than now.
  local first = now
  if length > 0 then
    first = tonumber(redis.call('LINDEX', key, math.max(0, length - limit)))
  end
  local function add()
    redis.call('RPUSH', key, whole(now))
    keepFor(key, window)
  end
  return length < limit, limit - length - 1, first + window - now, add
end

local function askKey(key, limit, window)
  local held = redis.call('HMGET', key, 'start', 'current', 'previous')
  local start = tonumber(held[1] or now)
  local current = tonumber(held[2] or 0)
  local previous = tonumber(held[3] or 0)
  if start > now then
    start = now
    redis.call('HSET', key, 'start', whole(now))
    keepFor(key, 2 * window)
  end
  local age = now - start
  if age >= window then
    previous = age < 2 * window and current or 0
    current = 0
    age = age % window
  end
  local share = age / window
  local used = previous * (1 - share) + current
  if used + 1 > limit then
    if current + 1 <= limit then
      return false, 0, window * (1 - (limit - 1 - current) / previous - share)
    end
    return false, 0, window * (1 - share + (1 - (limit - 1) / current))
  end
  local function add()
    redis.call('HSET', key, 'start', whole(now - age), 'current', whole(current + 1), 'previous', whole(previous))
    keepFor(key, 2 * window)
  end
  return true, limit - used - 1, window * (1 - share), add
end

local asks = { subject = askSubject, key = askKey }
local answer = {}
local additions = {}
for index, key in ipairs(KEYS) do
  local at = 3 * index - 1
  local allowed, remaining, reset, add = asks[ARGV[at]](key, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  answer[at - 1] = allowed and 1 or 0
  answer[at] = math.max(0, math.floor(remaining))
  answer[at + 1] = math.ceil(reset)
  if not allowed then
    return answer
  end
  additions[index] = add
end
for _, add in ipairs(additions) do
  add()
end
return answer
`
