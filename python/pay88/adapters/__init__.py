"""For programs that keep their HTTP client: authentication that takes its token from a manager.

pay88.adapters.requests.Pay88Auth, pay88.adapters.httpx.Pay88Auth and pay88.adapters.aiohttp.Pay88Middleware; each needs its
client installed, and none of them is imported here. They attach the token and the session ID to requests for the manager's
own origin only, keep them from redirects to others and out of the client's errors, and answer a 401 with one refresh, however
many requests met it, and one repetition each. What make_request promises about repeating, deadlines and outcomes is then the
client's matter.
"""
