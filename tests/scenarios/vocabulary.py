"""The words that scenarios are written in: steps, and what can be expected of their results.

A scenario is a name and a list of steps. Steps of a program name what its result must be: `token=1` for the first distinct
token of the scenario, fields of the result by name, `gives=` for a result that is no object, or `error=` and fields of the
error. Of objects only what is named is compared. Text may hold places that are filled in for each run: KEY and its kin below.
"""

import dataclasses
import typing

# The credentials of the scenario: the sandbox knows the first key.
KEY = "<key>"
OTHER_KEY = "<other key>"
THIRD_KEY = "<third key>"
MERCHANT = "<merchant>"
BASE_URL = "<base url>"
AUTHORITY = "<authority>"
# Another sandbox's.
OTHER_AUTHORITY = "<other authority>"
# A directory on a tmpfs, in which processes can share.
DIRECTORY = "<directory>"


def key(number):
    """A key of its own, besides those two."""
    return f"<key {number}>"


CHARGES = "/api/transactions/charges"
CHARGE = (
    '{"flow":"PAYIN","method_code":"NEQUI","method_category":"WALLET","amount":50000,"currency":"COP","country":"COL",'
    '"description":"An order","customer_id":"customer-1","notification_url":"https://shop.example/notify"}'
)

SCENARIOS = []


@dataclasses.dataclass
class Scenario:
    name: str
    steps: list


@dataclasses.dataclass
class Ask:
    """A step of the program, and what it must answer."""

    do: str
    arguments: dict
    wanted: dict
    # Another process of the scenario, in another language.
    second: bool = False
    at_once: int = 1
    took: typing.Optional["Between"] = None
    # Results that come later than the step: asked again until they are here.
    later: bool = False


@dataclasses.dataclass
class Control:
    """A request to the sandbox's control port."""

    method: str
    path: str
    body: typing.Any = None


@dataclasses.dataclass
class Seen:
    """What the sandbox must have counted since the scenario began."""

    wanted: dict


@dataclasses.dataclass
class Wait:
    seconds: float


@dataclasses.dataclass
class Between:
    least: float
    most: float

    def __eq__(self, got):
        return isinstance(got, (int, float)) and self.least <= got <= self.most


@dataclasses.dataclass
class Containing:
    """Text that has all these words, in any spelling of names: `ca_bundle` is `caBundle` in some languages."""

    words: tuple

    def __eq__(self, got):
        return isinstance(got, str) and all(_plain(word) in _plain(got) for word in self.words)


def _plain(text):
    return text.replace("_", "").lower()


def between(least, most):
    return Between(least, most)


def containing(*words):
    return Containing(words)


def scenario(name, *steps):
    assert name not in (known.name for known in SCENARIOS), name
    SCENARIOS.append(Scenario(name, list(steps)))


def new(*, second=False, environment=False, wanted=None, error=None, message=None, **options):
    """Builds a manager, for the sandbox's credentials unless options say otherwise; with `environment`, from those alone.
    A manager's number is `wanted`."""
    own = {"api_key": KEY, "merchant_id": MERCHANT, "base_url": BASE_URL, "ca_bundle": AUTHORITY}
    given = {**({} if environment else own), **options}
    expected = {"gives": between(1, 1000) if wanted is None else wanted}
    if error is not None:
        expected = {"error": error, "outcome": "not_sent", "retryable": False, "message": message or containing()}
    return Ask("new", {f"option.{name}": value for name, value in given.items()}, expected, second)


def get_token(*, manager=0, at_once=1, timeout=None, second=False, took=None, **wanted):
    return Ask("get_token", _given(manager=manager, timeout=timeout), wanted, second, at_once, took)


def peek_token(*, manager=0, second=False, **wanted):
    return Ask("peek_token", _given(manager=manager), wanted, second)


def request(
    endpoint,
    method="GET",
    body=None,
    /,
    *,
    with_headers=(),
    params=(),
    manager=0,
    at_once=1,
    timeout=None,
    safe_to_repeat=None,
    second=False,
    took=None,
    **wanted,
):
    """`body` and `headers` by name are those of the answer."""
    arguments = _given(
        manager=manager,
        method=method,
        endpoint=endpoint,
        body=body,
        timeout=timeout,
        safe_to_repeat="true" if safe_to_repeat else None,
    )
    for kind, pairs in (("header", with_headers), ("param", params)):
        for name, value in pairs:
            arguments.setdefault(f"{kind}.{name}", []).append(value)
    return Ask("request", arguments, wanted, second, at_once, took)


def charge(**more):
    return request(CHARGES, "POST", CHARGE, **more)


def invalidate(*, manager=0, **wanted):
    return Ask("invalidate", _given(manager=manager), wanted)


def rotate(api_key, *, keep_old=True, manager=0, **wanted):
    given = _given(manager=manager, api_key=api_key, keep_old="true" if keep_old else "false")
    return Ask("rotate", given, wanted or {"gives": None})


def close(manager=0):
    return Ask("close", _given(manager=manager), {"gives": None})


def stats(*, manager=0, **wanted):
    return Ask("stats", _given(manager=manager), wanted)


def events(*wanted):
    """The events of the process so far, in their order: names, or pairs of a name and fields, with the `level` among them."""

    def named(name, fields):
        level = {"level": fields["level"]} if "level" in fields else {}
        return {"name": name, **level, "fields": {name: value for name, value in fields.items() if name != "level"}}

    gives = [named(one, {}) if isinstance(one, str) else named(*one) for one in wanted]
    return Ask("events", {}, {"gives": gives}, later=True)


def seen(**counters):
    """Counters of the sandbox, and `paths` of the calls, in their order."""
    return Seen(counters)


def fault(on, action, times=1):
    """Played on the next `times` requests that it is meant for; None is for ever."""
    return Control("POST", "/faults", {"on": on, "times": times, "action": action})


def calm():
    """No fault is played any more."""
    return Control("DELETE", "/faults")


def answer(status, headers=(), body=None):
    """The action of a fault: the request is not carried out and gets this answer."""
    return {"answer": {"status": status, "headers": [list(pair) for pair in headers], "body": body}}


def switches(**values):
    return Control("POST", "/switches", values)


def revoke():
    """Makes all tokens worthless."""
    return Control("POST", "/revoke")


def accept(key):
    return Control("POST", "/keys", {"merchant_id": MERCHANT, "key": key})


def refuse(key):
    return Control("DELETE", "/keys", {"key": key})


def suspend():
    return Control("POST", "/suspend", {"merchant_id": MERCHANT, "suspended": True})


def wait(seconds):
    return Wait(seconds)


def _given(**arguments):
    return {name: str(value) for name, value in arguments.items() if value is not None}
