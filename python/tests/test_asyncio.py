"""AsyncTokenManager on asyncio's own loop and on uvloop."""

import asyncio
import ctypes
import json
import os
import select
import sys
import threading
import time

import pytest
import uvloop

import pay88
from charges import CHARGE, CHARGES, TOKEN
from pay88 import _native


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on a loop of its own."""

    def run(coroutine):
        loop = asyncio.new_event_loop() if request.param == "asyncio" else uvloop.new_event_loop()
        try:
            return loop.run_until_complete(asyncio.wait_for(coroutine, 30))
        finally:
            loop.close()

    return run


def test_tokens_and_charges_are_awaited(sandbox, run):
    async def main():
        async with sandbox.async_manager() as atm:
            token = await atm.get_token()
            assert atm.peek_token() is token
            assert await atm.get_token() is token
            answer = await atm.make_request(CHARGES, method="POST", json=CHARGE)
            assert answer.raise_for_status().json()["data"]["reference"]
            return atm

    atm = run(main())
    assert sandbox.tokens_issued() == 1
    assert atm.manager_id == sandbox.manager().manager_id
    assert atm.closed


def test_a_thousand_tasks_ask_for_one_token_and_get_one_object(sandbox, run):
    async def main():
        atm = sandbox.async_manager()
        return await asyncio.gather(*(atm.get_token() for _ in range(1000)))

    assert len({id(token) for token in run(main())}) == 1
    assert sandbox.tokens_issued() == 1


def test_a_refresh_that_fails_is_told_to_all_who_wait_with_objects_of_their_own(sandbox, run):
    sandbox.fault("token", {"answer": {"status": 401}}, times=None)

    async def main():
        atm = sandbox.async_manager()
        return await asyncio.gather(*(atm.get_token() for _ in range(1000)), return_exceptions=True)

    errors = run(main())
    assert {type(error) for error in errors} == {pay88.CredentialsRejectedError}
    assert len({(error.message, error.attempt) for error in errors}) == 1
    assert len({id(error) for error in errors}) == 1000
    assert sum(entry["target"].endswith("/token") for entry in sandbox.control("GET", "/log")) == 1


def test_a_waiter_that_is_canceled_leaves_the_others(sandbox, run):
    sandbox.fault("token", {"delay": {"seconds": 2}})

    async def main():
        atm = sandbox.async_manager()
        waiters = [asyncio.ensure_future(atm.get_token()) for _ in range(5)]
        await asyncio.to_thread(sandbox.wait_for, TOKEN)
        waiters[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiters[0]
        return await asyncio.gather(*waiters[1:])

    assert len(run(main())) == 4
    assert sandbox.tokens_issued() == 1


def test_a_call_that_is_canceled_is_aborted(sandbox, run):
    sandbox.fault("calls", {"delay": {"seconds": 20}})
    atm = sandbox.async_manager()

    async def main():
        await atm.get_token()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(atm.make_request(CHARGES, "POST", json=CHARGE), 2)

    run(main())
    deadline = time.monotonic() + 30
    while atm.stats()["calls_failed"] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert atm.stats()["calls_failed"] == 1


def test_waits_end_in_time_and_when_the_manager_is_closed(sandbox, run):
    sandbox.fault("token", {"delay": {"seconds": 20}}, times=None)

    async def main():
        atm = sandbox.async_manager()
        with pytest.raises(pay88.TimedOutError) as caught:
            await atm.get_token(timeout=0.2)
        assert caught.value.outcome == "not_sent"
        asyncio.get_running_loop().call_later(0.2, atm.close)
        with pytest.raises(pay88.CanceledError):
            await atm.get_token()
        with pytest.raises(pay88.ConfigInvalidError):
            await atm.make_request("/api/echo")

    run(main())


def test_what_cannot_be_sent_is_refused_as_by_the_blocking_manager(sandbox, run):
    async def main():
        atm = sandbox.async_manager()
        with pytest.raises(TypeError, match="verify"):
            await atm.make_request("/api/echo", verify=False)
        with pytest.raises(pay88.RefusedError):
            await atm.make_request("//evil.example")
        with pytest.raises(RuntimeError, match="no running event loop"):
            _outside_of_a_loop(atm)
        await atm.get_token()
        for timeout in (0, -1, float("nan")):
            with pytest.raises(ValueError, match="timeout"):
                await atm.get_token(timeout)

    def _outside_of_a_loop(atm):
        errors = []

        def start():
            try:
                atm.get_token().send(None)
            except RuntimeError as error:
                errors.append(error)

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        raise errors[0]

    run(main())


def test_one_manager_serves_loops_in_several_threads(sandbox):
    atm = sandbox.async_manager()
    statuses = []

    async def main():
        answers = await asyncio.gather(*(atm.make_request("/api/echo") for _ in range(10)))
        statuses.extend(answer.status_code for answer in answers)

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * 40
    assert sandbox.tokens_issued() == 1


def test_loops_that_were_closed_leave_no_descriptor_behind(sandbox):
    async def main():
        await sandbox.async_manager().make_request("/api/echo")

    asyncio.run(main())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_results_arrive_while_the_interpreter_is_locked(sandbox):
    """So no thread of the library ever waits for it, or attaches to it."""
    atm = sandbox.async_manager()
    completions = _native.Completions()
    request = ("GET", "/api/echo", None, [], [], None, False)
    calls = [atm._start_send(completions, number, request) for number in range(20)]
    # Called through PyDLL, which keeps the GIL.
    libc = ctypes.PyDLL(None)
    for _ in range(100):
        libc.usleep(100_000)
        if atm.stats()["calls"] == 20 and select.select([completions], [], [], 0)[0]:
            break
    libc.usleep(300_000)
    arrived = completions.take()
    assert sorted(number for number, _ in arrived) == list(range(20))
    assert {type(result) for _, result in arrived} == {_native.Response}
    assert len(calls) == 20
    assert set(sys._current_frames()) == {thread.ident for thread in threading.enumerate()}


CLOSED_WITH_WORK_PENDING = """
import asyncio, gc, logging, pay88, time
{policy}
# It warns of a callback that takes long, which on a busy machine any does.
logging.getLogger("asyncio").setLevel("ERROR")
atm = pay88.AsyncTokenManager()
loop = {loop}.new_event_loop()
waiting = atm.get_token()

async def begin():
    try:
        await asyncio.wait_for(waiting, 0.2)
    except asyncio.TimeoutError:
        pass
    left = atm.get_token()
    left.send(None)
    return left

left = loop.run_until_complete(begin())
loop.close()
time.sleep(1)    # The token arrives for a loop that is no more.
del left
gc.collect()
asyncio.run(atm.make_request("/api/echo"))
print("served")
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_loop_that_is_closed_with_work_pending_makes_no_noise(sandbox, loop):
    sandbox.fault("token", {"delay": {"seconds": 1}})
    policy = "import uvloop" if loop == "uvloop" else ""
    program = CLOSED_WITH_WORK_PENDING.format(loop=loop, policy=policy)
    assert sandbox.run(program, "-X", "dev") == (0, "served\n", "")


FORKED = """
import asyncio, os, sys, threading, pay88
from charges import TOKEN, wait_for
atm = pay88.AsyncTokenManager()

async def get():
    return (await atm.get_token()).expires_in

def wait():
    print("parent", asyncio.run(get()), flush=True)

thread = threading.Thread(target=wait)
thread.start()
wait_for(os.environ["PAY88_SANDBOX_CONTROL"], TOKEN)
child = os.fork()
if child == 0:
    print("child", asyncio.run(get()), flush=True)
    sys.exit(3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
thread.join()
print("ended", status)
"""


def test_a_child_forked_with_a_call_in_flight_and_its_parent_both_go_on(sandbox):
    sandbox.fault("token", {"delay": {"seconds": 2}})
    status, out, err = sandbox.run(FORKED, "-W", "ignore")
    assert (status, sorted(out.splitlines()), err) == (0, ["child 60", "ended 3", "parent 60"], "")


FORKED_IN_A_COROUTINE = """
import asyncio, json, os, signal, sys, time
{policy}
import pay88
from charges import CHARGE, CHARGES, TOKEN, wait_for
atm = pay88.AsyncTokenManager()
loop = {loop}.new_event_loop()

async def until(seconds):
    # asyncio.sleep() finds no running loop in a child.
    over = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over

def charge(**options):
    return atm.make_request(CHARGES, "POST", json=CHARGE, **options)

async def main():
    calls = [atm.get_token(), charge(), charge(safe_to_repeat=True)]
    waiting = [asyncio.ensure_future(call) for call in calls]
    await loop.run_in_executor(None, wait_for, os.environ["PAY88_SANDBOX_CONTROL"], TOKEN)
    child, begun = os.fork(), time.monotonic()
    if child == 0:
        # Whatever takes longer hangs.
        signal.alarm(20)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    if child > 0:
        got = [ended[0].expires_in] + [answer.status_code for answer in ended[1:]]
        print(json.dumps(["parent", got, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]), flush=True)
        return
    took = time.monotonic() - begun
    told = [(error.code, error.outcome, error.retryable) for error in ended]
    # Long enough to see the parent's results arrive, which are not to be taken from it.
    await until(2.5)
    own = asyncio.run(atm.get_token()).expires_in
    print(json.dumps(["child", told, own, took]), flush=True)
    os._exit(0)

loop.{debug}
loop.run_until_complete(main())
"""


@pytest.mark.parametrize("debug", ["set_debug(False)", "set_debug(True)"], ids=["", "debug"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_a_child_awaits_that_its_parent_has_begun_ends_with_forked_at_once(sandbox, loop, debug):
    sandbox.fault("token", {"delay": {"seconds": 2}})
    policy = "import uvloop" if loop == "uvloop" else ""
    program = FORKED_IN_A_COROUTINE.format(loop=loop, policy=policy, debug=debug)
    status, out, err = sandbox.run(program, "-W", "ignore", timeout=40)
    assert (status, len(out.splitlines())) == (0, 2), out + err
    child, parent = sorted(map(json.loads, out.splitlines()))
    told = [["forked", "not_sent", True], ["forked", "unknown", False], ["forked", "unknown", True]]
    assert child[:3] == ["child", told, 60]
    # "At once" is a second at most, and ten on a busy machine.
    print(f"forked after {child[3]:.3f} s")
    assert child[3] < 10
    assert parent == ["parent", [60, 200, 200], 0]


# asyncio.timeout() is there from Python 3.11 on.
@pytest.mark.parametrize("way", ["cancel", "wait_for", *["timeout"] * hasattr(asyncio, "timeout")])
def test_a_charge_whose_task_is_canceled_says_whether_it_can_have_arrived(sandbox, run, way):
    sandbox.fault("calls", {"delay": {"seconds": 20}})
    atm = sandbox.async_manager()

    async def charge():
        return await atm.make_request(CHARGES, "POST", json=CHARGE)

    async def give_up():
        if way == "wait_for":
            await asyncio.wait_for(charge(), 2)
        if way == "timeout":
            async with asyncio.timeout(2):
                await charge()
        task = asyncio.ensure_future(charge())
        await asyncio.to_thread(sandbox.wait_for, CHARGES)
        task.cancel()
        await task

    async def main():
        await atm.get_token()
        begun = time.monotonic()
        with pytest.raises((asyncio.CancelledError, asyncio.TimeoutError)) as caught:
            await give_up()
        return caught.value, time.monotonic() - begun

    error, took = run(main())
    print(f"given up after {took:.3f} s")
    canceled = error if isinstance(error, asyncio.CancelledError) else error.__cause__
    assert isinstance(canceled, asyncio.CancelledError)
    assert isinstance(canceled.__cause__, pay88.CanceledError)
    assert (canceled.__cause__.outcome, canceled.__cause__.retryable) == ("unknown", False)


def test_a_charge_that_waits_for_its_token_was_not_sent_when_its_task_is_canceled(sandbox, run):
    sandbox.fault("token", {"delay": {"seconds": 20}})

    async def main():
        with pytest.raises(asyncio.TimeoutError) as caught:
            await asyncio.wait_for(sandbox.async_manager().make_request(CHARGES, "POST", json=CHARGE), 0.3)
        assert caught.value.__cause__.__cause__.outcome == "not_sent"

    run(main())
    assert sandbox.control("GET", "/charges") == []


def test_an_answer_that_comes_as_its_task_is_canceled_is_not_lost(sandbox, run):
    atm = sandbox.async_manager()

    def keep_the_loop_until_the_answer_is_there():
        deadline = time.monotonic() + 10
        while not sandbox.control("GET", "/charges"):
            assert time.monotonic() < deadline
        time.sleep(0.3)

    async def main():
        await atm.get_token()
        task = asyncio.ensure_future(atm.make_request(CHARGES, "POST", json=CHARGE))
        await asyncio.sleep(0)
        keep_the_loop_until_the_answer_is_there()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value.__cause__

    error = run(main())
    assert (error.outcome, error.response.status_code) == ("answered", 200)
    assert error.response.json()["data"]["reference"]
    assert len(sandbox.control("GET", "/charges")) == 1
