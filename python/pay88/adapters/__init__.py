"""Authentication for programs that keep their HTTP client: it takes the token from a manager.

There are pay88.adapters.requests.Pay88Auth, pay88.adapters.httpx.Pay88Auth and pay88.adapters.aiohttp.Pay88Middleware.
Each needs its client installed; none of them is imported here. They add the token and the session ID only to requests
for the manager's own origin, and keep them out of redirects to other origins and out of the client's errors. After a
401 they ask for one new token, however many requests met it, and repeat each request once. Repetitions, time limits and
outcomes are otherwise up to the client; what make_request promises about them does not hold.
"""
