-- What wrk asks: POST after POST, each with a number of its own, and with one key after another.
-- wrk … -- BODY CONTENT_TYPE FIRST_NUMBER ANSWERS_FILE AUTHORIZATIONS_FILE

-- Stands for the request's number in BODY. The number has as many digits, so that all bodies are of one length.
local PLACE = '#########'

local requests = {}
local number, answers

function init(args)
  local body, contentType = args[1], args[2]
  number = tonumber(args[3])
  if args[4] ~= '' then
    answers = io.open(args[4], 'w')
    -- So that few answers cost a write to the file.
    answers:setvbuf('full', 1048576)
  end
  local at = string.find(body, PLACE, 1, true)
  local before = at and string.sub(body, 1, at - 1) or body
  local after = at and string.sub(body, at + #PLACE)
  for authorization in io.lines(args[5]) do
    local head = string.format(
      'POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n',
      wrk.path, wrk.headers['Host'] or wrk.host, authorization, contentType, #body)
    table.insert(requests, { head .. before, after })
  end
  -- wrk looks whether it is there before it calls it, which costs it time.
  if answers == nil then response = nil end
end

function request()
  number = number + 1
  local parts = requests[number % #requests + 1]
  if parts[2] == nil then return parts[1] end
  return parts[1] .. string.format('%09d', number) .. parts[2]
end

function response(status, _headers, body)
  answers:write(status, ' ', body, '\n')
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"count":%d,"seconds":%f,"failed":%d,"p50Ms":%f,"p99Ms":%f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
