"""Scenario steps through pay88.AsyncTokenManager, as tasks where several are at once. See ../README.md."""

import asyncio
import json
import sys

import pay88
from blocking import Step, response, simple, take_events, token, told


async def result_of(step, managers):
    try:
        if step["do"] == "get_token":
            return {"ok": token(await managers[int(step["manager"])].get_token(step.timeout))}
        if step["do"] == "request":
            return {"ok": response(await managers[int(step["manager"])].make_request(**step.call))}
        return {"ok": simple(step, managers, pay88.AsyncTokenManager)}
    except pay88.Pay88Error as error:
        return told(error)


async def main():
    take_events()
    managers = []
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        step = Step(line)
        results = await asyncio.gather(*(result_of(step, managers) for _ in range(int(step["at_once"]))))
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
