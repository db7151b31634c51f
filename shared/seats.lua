-- Takes, renews or refuses the seat of one session, by Redis' own clock. No seat outlasts its session's hard end (hmx).
-- KEYS  seat:{sub} zset sid -> end of lease · sess:{sub} hash sid -> session · gone:{sub} hash sid -> reason
-- ARGV  sid · cap · lease seconds · policy · may start (1/0) · hmx · device · place · title · push channel ·
--       1 if bound to its place · country · edge · the second family's place
-- Gives {"seated", 1 if it started now, place, second place, 1 if seated anew, 1 if several edges serve it, ended} ·
--       {"gone", reason} · {"elsewhere"} · {"late", ended} · {"full", ended, [sid, lease end, session]...}
--       where ended is [sid, reason, session] of each seat that is free since now
local seat, sess, gone = KEYS[1], KEYS[2], KEYS[3]
local sid, cap, lease, policy = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local may_start, hmx = ARGV[5] == '1', tonumber(ARGV[6])
local place, is_bound, country, edge, second = ARGV[8], ARGV[11] == '1', ARGV[12], ARGV[13], ARGV[14]
local ended = {}

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function keep_until(key, at)
  local left = redis.call('TTL', key)
  if left < 0 or left < at - now then redis.call('EXPIREAT', key, math.ceil(at)) end
end

local function end_seat(one, why)
  redis.call('ZREM', seat, one)
  ended[#ended + 1] = { one, why, redis.call('HGET', sess, one) or '{}' }
end

local function is_elsewhere(session)
  local alt, cc = session.alt or '', session.cc or ''
  if place == session.place or (alt ~= '' and place == alt) then return false end
  if cc ~= '' and country ~= '' and cc ~= country then return true end
  return alt ~= '' or place == '' or (not place:find(':')) == (not session.place:find(':'))
end

local function sweep()
  if redis.call('HLEN', sess) <= 64 then return end
  local all = redis.call('HGETALL', sess)
  for i = 1, #all, 2 do
    if cjson.decode(all[i + 1]).hmx < now then redis.call('HDEL', sess, all[i]) end
  end
end

local function seated()
  local list = {}
  local pairs_ = redis.call('ZRANGE', seat, 0, -1, 'WITHSCORES')
  for i = 1, #pairs_, 2 do
    local kept = redis.call('HGET', sess, pairs_[i]) or '{}'
    list[#list + 1] = { pairs_[i], pairs_[i + 1], kept }
  end
  return list
end

local function take_over_oldest()
  local oldest, since
  for _, one in ipairs(seated()) do
    local at = cjson.decode(one[3]).since or 0
    if not oldest or at < since then oldest, since = one, at end
  end
  local victim = oldest[1]
  local ends = math.ceil(cjson.decode(oldest[3]).hmx or hmx)
  end_seat(victim, 'taken-over')
  redis.call('HSET', gone, victim, 'taken-over')
  keep_until(gone, ends)
  redis.call('PUBLISH', ARGV[10], cjson.encode({ kind = 'sid', key = victim, iat = ends, reason = 'taken-over' }))
end

local reason = redis.call('HGET', gone, sid)
if reason then return { 'gone', reason } end

local kept = redis.call('HGET', sess, sid)
local session = kept and cjson.decode(kept)
if session and is_bound and is_elsewhere(session) then return { 'elsewhere' } end

local over = redis.call('ZRANGEBYSCORE', seat, '-inf', string.format('%.6f', now))
for _, one in ipairs(over) do end_seat(one, 'idle') end

local is_seated = redis.call('ZSCORE', seat, sid) and session
if not is_seated then
  redis.call('ZREM', seat, sid)
  if not session and not may_start then return { 'late', ended } end
  if policy == 'takeover_oldest' then
    while redis.call('ZCARD', seat) >= cap do take_over_oldest() end
  elseif redis.call('ZCARD', seat) >= cap then
    return { 'full', ended, seated() }
  end
  sweep()
end

local is_new = not is_seated
if not session then
  session = { d = ARGV[7], place = place, alt = second, cc = country, title = ARGV[9], started = now, edge = edge }
end
if is_new then session.since = now end
if is_bound and place ~= session.place and session.alt ~= place then
  session.alt, is_new = place, true
end
if hmx > (session.hmx or 0) then
  session.hmx, is_new = hmx, true
end
if edge ~= (session.edge or edge) then
  if now - (session.spread or 0) > 30 then
    redis.call('PUBLISH', ARGV[10], cjson.encode({ kind = 'spread', key = sid }))
  end
  session.edge, session.spread, is_new = edge, now, true
end
if is_new then
  redis.call('HSET', sess, sid, cjson.encode(session))
  -- A lease longer than it can sit: whoever tells of its end knows the title still.
  keep_until(sess, session.hmx + lease)
end
redis.call('ZADD', seat, string.format('%.6f', math.min(now + lease, session.hmx)), sid)
redis.call('EXPIREAT', seat, math.ceil(now + lease) + 1)
local is_spread = now - (session.spread or 0) < 60
return {
  'seated', kept and 0 or 1, session.place, session.alt or '', is_seated and 0 or 1, is_spread and 1 or 0, ended
}
