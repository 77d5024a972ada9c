#!/usr/bin/env python3
"""32 processes in four languages, which ask at the same moment with nothing set and nothing cached: one token request.

    tests/scenarios/crowd.py [--debug]

Needs what run.py needs, and uses its programs. Every step has an end.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import secrets
import tempfile
import threading
import time

import run

# How many processes of each program.
CROWD = {"rust": 8, "c": 8, "python": 4, "asyncio": 4, "node": 8}
CHARGE = {
    "flow": "PAYIN", "method_code": "NEQUI", "method_category": "WALLET", "amount": 50000, "currency": "COP",
    "country": "COL", "description": "Order 7", "customer_id": "c-7", "notification_url": "https://shop.example/hook",
}  # fmt: skip


def told(program, do, **arguments):
    """The result of a step."""
    (result,) = json.loads(program.ask({"do": do, "manager": "0", "at_once": "1", **arguments}))
    assert "ok" in result, result
    return result["ok"]


def asked(program, everybody):
    """What a process got, and where it shares it."""
    told(program, "new")
    everybody.wait(run.START_LIMIT)
    pair = told(program, "get_token")
    status = told(program, "request", method="POST", endpoint="/api/transactions/charges", body=json.dumps(CHARGE))[
        "status"
    ]
    share = told(program, "stats")
    return (
        pair["access_token"],
        pair["session_id"],
        status,
        share["share"],
        share["share_path"],
        share["share_degraded"],
    )


def main():
    parser = argparse.ArgumentParser(description="Processes in four languages that ask for a token at the same moment.")
    parser.add_argument("--debug", action="store_true", help="with what was built by build.sh --debug")
    kind = "debug" if parser.parse_args().debug else "release"
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", run.ROOT / "target")).resolve()
    run.build(target, kind)
    commands = run.languages(target, kind)

    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pay88-crowd-")))
        sandbox = run.Sandbox(target / kind / "pay88", directory)
        stack.callback(sandbox.stop)
        # All of them wait for it.
        sandbox.control("POST", "/switches", {"token_delay": 0.5})
        number = secrets.token_hex(8)
        key, merchant = f"sk_test_sandbox_{number}", f"MCH-COL-{number.upper()}"
        sandbox.control("POST", "/keys", {"merchant_id": merchant, "key": key})
        settings = {
            "API_KEY": key, "MERCHANT_ID": merchant, "BASE_URL": sandbox.base_url, "CA_BUNDLE": str(sandbox.authority),
        }  # fmt: skip
        environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        environment["PYTHONPATH"] = str(run.ROOT / "python")
        environment.update({f"EIGHTY_EIGHT_PAY_{name}": value for name, value in settings.items()})

        programs = []
        for language in (language for language, count in CROWD.items() for _ in range(count)):
            program = run.Program(commands[language], environment, directory / f"errors-{len(programs)}")
            stack.callback(program.stop)
            programs.append(program)
        everybody = threading.Barrier(len(programs))
        with concurrent.futures.ThreadPoolExecutor(len(programs)) as pool:
            results = list(pool.map(lambda program: asked(program, everybody), programs))
        for program in programs:
            program.end()
        counted = sandbox.counted()

    shares = {result[2:] for result in results}
    paths = {path for *_, path, _ in shares}
    for path in filter(None, paths):
        pathlib.Path(path).unlink()
        pathlib.Path(f"{path}.lock").unlink()
    assert len(programs) == 32
    assert shares == {(200, "host", next(iter(paths)), None)}, shares
    assert len({result[:2] for result in results}) == 1, "not one token"
    assert (counted["tokens_requested"], counted["unauthorized"]) == (1, 0), counted
    print(
        f"crowd: {len(programs)} processes, {counted['tokens_requested']} token request, {time.monotonic() - begun:.1f} s"
    )


if __name__ == "__main__":
    main()
