"""Interpreters that end with work pending: in good order, with their own exit status and without a word."""

import concurrent.futures

TIMES = 200

PENDING = {
    "a thread waits for a token": """
        threading.Thread(target=tm.get_token, daemon=True).start()
        time.sleep(0.05)
    """,
    "threads make calls": """
        for _ in range(4):
            threading.Thread(target=tm.make_request, args=("/api/echo",), daemon=True).start()
    """,
    "asynchronous calls were begun": """
        calls = [atm._start_token(completions, number, None) for number in range(8)]
    """,
    "tasks wait": """
        async def main():
            for _ in range(8):
                asyncio.ensure_future(atm.get_token())
            await asyncio.sleep(0.02)
            sys.exit(7)
        asyncio.run(main())
    """,
    "events are logged": """
        pay88.log_events()
        threading.Thread(target=tm.get_token, daemon=True).start()
    """,
    "results arrive at the very end": """
        calls = [atm._start_token(completions, number, 0.001 * number) for number in range(1, 100)]
    """,
}

PROGRAM = """
import asyncio, sys, threading, time, pay88
import pay88._native
tm, atm = pay88.TokenManager("{key}"), pay88.AsyncTokenManager("{key}")
completions = pay88._native.Completions()
{pending}
sys.exit(7)
"""


def test_interpreters_end_in_good_order_with_work_pending(sandbox):
    sandbox.fault("token", {"delay": {"seconds": 20}}, times=None)
    ways = [way.replace("\n        ", "\n") for way in PENDING.values()]
    # Each with a key of its own: together they would wait for one token, and use up its budget.
    programs = [PROGRAM.format(pending=ways[n % len(ways)], key=sandbox.new_key()) for n in range(TIMES)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ends = set(pool.map(sandbox.run, programs))
    assert ends == {(7, "", "")}
