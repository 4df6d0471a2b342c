-- Asks Sallyport about every request: `http-request lua.sallyport`. HAProxy 2.6 or newer, nothing but its built-in client.
--
-- A 200 sets txn.sallyport_allowed and the four variables of the identity. 302, 303 and 401 are passed on to the visitor
-- with their Location; everything else is 403. An error in here sets nothing, so the line after the action must refuse
-- what is not allowed: HAProxy itself goes on after an error in Lua.
--
-- The destination is fixed; nothing that a visitor sends takes part in it.

local ENDPOINT = "http://sallyport/api/authz/forward-auth"
local SOCKET = "abns@sallyport-authz"
-- Longer than `timeout server` of the pool behind the socket: that one decides how long a visitor waits.
local TIMEOUT_MS = 4000

-- The only headers of a visitor that the gateway needs. So Content-Length, Transfer-Encoding, Connection, Remote-* and
-- forged X-Forwarded-* never get there.
local PASSED = {
  "accept", "accept-language", "authorization", "cookie", "proxy-authorization", "sec-fetch-dest", "sec-fetch-mode",
  "sec-fetch-site", "user-agent", "x-requested-with",
}
local IDENTITY = { user = "remote-user", groups = "remote-groups", name = "remote-name", email = "remote-email" }
local ANSWERED = { [302] = true, [303] = true, [401] = true }
local KEPT = { "location", "www-authenticate", "set-cookie", "cache-control", "vary" }

local function values(headers, name)
  local found, list = headers[name], {}
  if found then
    for i = 0, #found do list[#list + 1] = found[i] end
  end
  return list
end

local function answer(txn, status, headers)
  local reply = txn:reply({ status = status })
  for _, name in ipairs(KEPT) do
    for _, value in ipairs(values(headers, name)) do reply:add_header(name, value) end
  end
  if #values(headers, "cache-control") == 0 then reply:add_header("cache-control", "no-store") end
  txn:done(reply)
end

core.register_action("sallyport", { "http-req" }, function(txn)
  local uri, tls = txn.sf:pathq(), txn.f:ssl_fc()
  if uri:sub(1, 1) ~= "/" then return answer(txn, 400, {}) end

  local received = txn.http:req_get_headers()
  local headers = {
    ["x-forwarded-method"] = { txn.sf:method() },
    ["x-forwarded-proto"] = { (tls == true or tls == 1) and "https" or "http" },
    ["x-forwarded-host"] = { txn.sf:req_fhdr("host") },
    ["x-forwarded-uri"] = { uri },
    ["x-forwarded-for"] = { txn.sf:src() },
    -- The client would write */* for a visitor who sent no Accept, a WebSocket for example, and that reads as a browser.
    ["accept"] = { "" },
  }
  for _, name in ipairs(PASSED) do
    local list = values(received, name)
    if #list > 0 then headers[name] = list end
  end

  local response = core.httpclient():get({ url = ENDPOINT, dst = SOCKET, headers = headers, timeout = TIMEOUT_MS })
  if response.status == 200 then
    for key, name in pairs(IDENTITY) do
      local value = values(response.headers, name)[1]
      if value and value ~= "" then txn:set_var("txn.sallyport_" .. key, value) end
    end
    txn:set_var("txn.sallyport_allowed", true)
  elseif ANSWERED[response.status] then
    answer(txn, response.status, response.headers)
  else
    answer(txn, 403, {})
  end
end, 0)
