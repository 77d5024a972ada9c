"""What a server, or what is between, can do on the wire: a verdict for each, at a call and at the token endpoint.

Each row is met by a charge, which is never sent twice; by a call that only reads, once, which is repeated where that may
help; and by a token request. After each the next call must find nothing of it.
"""

import base64
import dataclasses
import gzip
import typing
import zlib

from vocabulary import (
    CHARGES,
    accept,
    between,
    calm,
    charge,
    fault,
    get_token,
    key,
    new,
    request,
    scenario,
    seen,
    wait,
)

# What is answered where the rules of 88Pay are not asked.
TEXT = '{"status":"Success","code":200,"message":"m","data":{"access_token":"a.b.c","session_id":"sess_1","expires_in":60}}'
LENGTH = len(TEXT)
# The limit of a call's answer in these scenarios, in bytes; the token answer's is the same and fixed.
MOST = 65536
# The time of a call that has to wait for its end, in seconds, and what may be added to it on a busy machine. PHP makes three
# calls one after the other, where others make them at once. A machine that stands still for all that time before the request
# is out makes it one that was not sent.
TIME, SLACK = 2, 10
# No call of this table takes longer, in seconds, unless its row says so.
LONGEST = 6


@dataclasses.dataclass
class Row:
    """A behaviour and what comes of it. A verdict is what an answer must be, or `error` and what that must be."""

    what: str
    action: typing.Any
    charge: dict
    # How many charges there are of one that was sent.
    created: int = 0
    # The call that reads, which meets it once: its verdict where that is another, and how often it is sent.
    read: typing.Optional[dict] = None
    sent: int = 1
    # The token request, which meets it each time: `None` gives the token.
    token: typing.Optional[dict] = None
    requests: int = 1
    timeout: typing.Optional[float] = None
    method: str = "GET"
    # Only calls, since the token endpoint is asked in no such way.
    calls_only: bool = False
    # Seconds until the server has done all of it.
    over: float = 0.1

    @property
    def took(self):
        return between(0, LONGEST) if self.timeout is None else between(self.timeout - 0.01, self.timeout + SLACK)


def wire(*pieces, then="close"):
    """The action that sends these: text, bytes, or pieces as the sandbox takes them."""
    return {"wire": {"pieces": [_piece(piece) for piece in pieces], "then": then}}


def _piece(piece):
    if isinstance(piece, str):
        return {"text": piece}
    if isinstance(piece, bytes):
        return {"bytes": base64.b64encode(piece).decode()}
    return piece


def flood(text, times=None, every=0):
    return {"repeat": {"text": text, "times": times, "every": every}}


def head(*lines, status="200 OK", version="1.1", length=LENGTH):
    """The head of an answer; without a length where that is `None`."""
    lines = [f"HTTP/{version} {status}", "Content-Type: application/json", *lines]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""])


def answered(what, action, *, body=None, headers=None, status=200, **more):
    """An answer is taken for what it is; of the rules unless `body` says otherwise."""
    verdict = {
        "status": status,
        **({} if body is None else {"body": body}),
        **({} if headers is None else {"headers": headers}),
    }
    return Row(what, action, verdict, **more)


def no_token(status):
    """The verdict of a token request whose answer is none."""
    return {"error": "bad_response", "outcome": "not_sent", "http_status": status}


def bodiless(status):
    return {"status": status, "body": "", "token": no_token(status)}


def lost(what, action, code, *, again=False, **more):
    """No answer: nobody knows what came of it. `again`: it may be otherwise the next time, so that a call that reads is
    repeated, and a token request too."""
    verdict = {"error": code, "outcome": "unknown", "retryable": False, "http_status": None}
    read = {"status": 200} if again else {**verdict, "retryable": True}
    return Row(
        what,
        action,
        verdict,
        read=read,
        sent=2 if again else 1,
        token={"error": code, "outcome": "not_sent", "retryable": True, "http_status": None},
        requests=2 if again else 1,
        **more,
    )


def late(what, action, **more):
    """It is given up when its time is over."""
    return lost(what, action, "timeout", timeout=TIME, **more)


def coded(name, body, **more):
    return wire(head(f"Content-Encoding: {name}", length=len(body)), body, **more)


OK = head() + TEXT
CHUNKED = head("Transfer-Encoding: chunked", length=None)
NOTHING = {"status": 200, "body": ""}
WHOLE = f"{LENGTH:x}\r\n{TEXT}\r\n0\r\n\r\n"
GZIP = gzip.compress(TEXT.encode(), mtime=0)
MEMBER = gzip.compress(TEXT[9:].encode())
BOMB = gzip.compress(b" " * (64 * MOST), mtime=0)
# An answer that says more than was sent, and one that says less.
SHORT, LONG = head(length=LENGTH + 10) + TEXT, OK + "HTTP/1.1 500 Not asked for\r\nContent-Length: 0\r\n\r\n"

TABLE = {
    "cut": (
        lost("before the request is carried out", "cut_after_request", "connection_failed", again=True),
        lost("before the answer", "cut_before_answer", "connection_failed", again=True, created=1),
        lost("in the head", "cut_in_head", "connection_failed", again=True, created=1),
        lost("in the body", "cut_in_body", "bad_response", again=True, created=1),
        lost("in a chunk", wire(CHUNKED, "ff\r\nhalf", then="cut"), "bad_response", again=True),
        lost("between chunks", wire(CHUNKED, "2\r\n{}\r\n", then="cut"), "bad_response", again=True),
        lost("between chunks, in order", wire(CHUNKED, "2\r\n{}\r\n"), "bad_response", again=True),
        lost("where only the end tells the length", wire(head(length=None), TEXT, then="cut"), "bad_response", again=True),
    ),
    "reset": (
        lost("before the answer", "reset_before_answer", "connection_failed", again=True, created=1),
        lost("in the body", "reset_in_body", "bad_response", again=True, created=1),
        lost("in the head", wire("HTTP/1.1 200 OK\r\nContent-", then="reset"), "connection_failed", again=True),
    ),
    "truncated": (
        lost("by its length", wire(SHORT), "bad_response", again=True),
        lost("by a length that is beyond the limit", wire(head(length=MOST + 1), TEXT), "bad_response"),
        lost("by a length that is beyond all limits", wire(head(length=2**63), TEXT), "bad_response"),
    ),
    "slow": (
        answered("a byte at a time, in time", {"drip": {"seconds": 0.0002}}, created=1),
        late("a byte at a time, beyond its time", {"drip": {"seconds": 0.05}}, created=1),
        answered("a head in pieces", wire(OK[:7], {"pause": 0.1}, OK[7:40], {"pause": 0.1}, OK[40:]), body=TEXT),
        late("hints for ever, now and then", wire(flood("HTTP/1.1 103 Early Hints\r\n\r\n", every=0.05))),
        late("chunks for ever, now and then", wire(CHUNKED, flood("1\r\n \r\n", every=0.05))),
    ),
    "flooded": (
        answered("hints before the answer", wire(flood("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 50), OK), body=TEXT),
        late("hints for ever", wire(flood("HTTP/1.1 103 Early Hints\r\n\r\n"))),
        lost("a body for ever", wire(head(length=None), flood(" " * 1000)), "bad_response"),
        lost("chunks for ever", wire(CHUNKED, flood("40\r\n" + 64 * " " + "\r\n")), "bad_response"),
        lost("headers for ever", wire("HTTP/1.1 200 OK\r\n", flood("X-Filler: 0123456789\r\n")), "bad_response"),
        lost("one header for ever", wire("HTTP/1.1 200 OK\r\nX-Filler: ", flood("0123456789")), "bad_response"),
        lost("a reason for ever", wire("HTTP/1.1 200 ", flood("0123456789")), "bad_response"),
        lost("a chunk's extension for ever", wire(CHUNKED, "1;", flood("0123456789")), "bad_response"),
        lost("trailers for ever", wire(CHUNKED, "0\r\n", flood("X-Filler: 0123456789\r\n")), "bad_response"),
        lost("one trailer for ever", wire(CHUNKED, "0\r\nX-Filler: ", flood("0123456789")), "bad_response"),
    ),
    "closed behind the answer": (
        answered("with a word", {"close_after_answer": {"announced": True}}, created=1),
        answered("without a word", {"close_after_answer": {"announced": False}}, created=1),
        answered("by a reset", wire(OK, then="reset"), body=TEXT),
        answered("as the end of a body without a length", wire(head(length=None), TEXT), body=TEXT),
    ),
    "coded": (
        answered("gzip", {"coded": {"coding": "gzip"}}, created=1),
        answered("deflate", {"coded": {"coding": "deflate"}}, created=1),
        answered("deflate without zlib", {"coded": {"coding": "raw_deflate"}}, created=1),
        answered("gzip in two members", coded("x-gzip", gzip.compress(TEXT[:9].encode()) + MEMBER), body=TEXT),
        answered("gzip of deflate", coded("deflate, gzip", gzip.compress(zlib.compress(TEXT.encode()))), body=TEXT),
        answered("nothing, and says so", coded("identity", TEXT.encode()), body=TEXT),
        answered("nothing, and says gzip", coded("gzip", TEXT.encode()), body=TEXT, headers={"content-encoding": "gzip"}),
        answered(
            "something that is not known",
            coded("br", b"<no JSON>"),
            body="<no JSON>",
            headers={"content-encoding": "br"},
            token=no_token(200),
        ),
        lost("gzip that was cut", coded("gzip", GZIP[:-9]), "bad_response", again=True),
        lost("gzip without its sum", coded("gzip", GZIP[:-8]), "bad_response", again=True),
        lost("gzip with another sum", coded("gzip", GZIP[:-8] + bytes(8)), "bad_response"),
        lost("a bomb", coded("gzip", BOMB), "bad_response"),
        lost("a bomb in a bomb", coded("gzip, gzip", gzip.compress(BOMB)), "bad_response"),
    ),
    "hung": (
        late("before the answer", "stall"),
        late("in the head", wire("HTTP/1.1 200 OK\r\n", then="stall")),
        late("behind the head", wire(head(), then="stall")),
        late("in the body", "stall_in_body", created=1),
    ),
    "odd headers": (
        answered("a control character in a cookie", {"head_lines": {"lines": ["Set-Cookie: a=\1b"]}}, created=1),
        answered("a space before the colon", {"head_lines": {"lines": ["X-Odd : 1"]}}, created=1),
        answered("a folded line", {"head_lines": {"lines": ["X-Odd: 1", "  2"]}}, created=1),
        answered("no colon", {"head_lines": {"lines": ["X-Odd"]}}, created=1),
        answered("no name", {"head_lines": {"lines": [": 1"]}}, created=1),
        answered("a name with spaces", {"head_lines": {"lines": ["X Odd: 1"]}}, created=1),
        answered("text beyond ASCII", {"head_lines": {"lines": ["X-Odd: señor"]}}, created=1),
        answered("much of them", {"head_lines": {"lines": [f"X-Odd-{number}: 1" for number in range(80)]}}, created=1),
        answered("the same length twice", wire(head(f"Content-Length: {LENGTH}"), TEXT, then="keep"), body=TEXT),
        lost("two lengths", wire(head(f"Content-Length: {LENGTH - 1}"), TEXT, then="keep"), "bad_response"),
        lost("a length that is none", wire(head("Content-Length: many", length=None), TEXT), "bad_response"),
        lost("a length below zero", wire(head(length=-1), TEXT), "bad_response"),
        answered("a length and chunks", wire(head("Transfer-Encoding: chunked", length=3), WHOLE, then="keep"), body=TEXT),
    ),
    "no HTTP": (
        lost("noise", "garbage", "bad_response"),
        lost("another protocol", wire("SSH-2.0-OpenSSH_9.6\r\n\r\n"), "bad_response"),
        lost("another version", wire("HTTP/2.0 200 OK\r\n\r\n"), "bad_response"),
        lost("a page without a head", wire("<html>\r\n\r\n"), "bad_response"),
        lost("a status that is none", wire("HTTP/1.1 2x0 OK\r\n\r\n"), "bad_response"),
        lost("a chunk's size that is none", wire(CHUNKED, "xyz\r\n"), "bad_response"),
        lost("a chunk that is longer than its size", wire(CHUNKED, "2\r\n{}{}\r\n0\r\n\r\n"), "bad_response"),
    ),
    "old": (
        answered("HTTP/1.0 with a length", wire(head(version="1.0"), TEXT), body=TEXT),
        answered("HTTP/1.0 without a length", wire(head(version="1.0", length=None), TEXT), body=TEXT),
        answered("HTTP/1.0 that goes on", wire(head("Connection: keep-alive", version="1.0"), TEXT, then="keep"), body=TEXT),
        answered("lines without a return", wire(OK.replace("\r\n", "\n"), then="keep"), body=TEXT),
    ),
    # In one piece: what came later would be taken for the answer to the next call.
    "more than is due": (
        answered("204 with a body", wire(head(status="204 No Content") + TEXT, then="keep"), **bodiless(204)),
        answered("304 with a body", wire(head(status="304 Not Modified") + TEXT, then="keep"), **bodiless(304)),
        answered("HEAD with a body", wire(OK, then="keep"), body=TEXT, read=NOTHING, method="HEAD", calls_only=True),
        answered("another answer behind it", wire(LONG, then="keep"), body=TEXT),
        answered("noise behind it", wire(OK + "\0\1\2", then="keep"), body=TEXT),
    ),
}  # fmt: skip


def calls_of(rows):
    """Each row met by a charge and by a call that reads, in one process."""
    charges, paths = 0, []
    for number, row in enumerate(rows):
        yield fault({"path": CHARGES}, row.action, times=None)
        yield charge(timeout=row.timeout, took=row.took, **row.charge)
        charges += row.created
        paths += [CHARGES]
        yield fault({"path": "/api/echo"}, row.action)
        yield request("/api/echo", row.method, timeout=row.timeout, took=row.took, **(row.read or _of_a_read(row)))
        paths += ["/api/echo"] * row.sent
        yield calm()
        yield wait(row.over)
        for text in (f"{number} a", f"{number} b"):
            yield request("/api/echo?next", "POST", text, status=200, body={"data": {"body": text}})
            paths += ["/api/echo"]
        yield seen(charges_created=charges, paths=list(paths))


def _of_a_read(row):
    return row.charge


def tokens_of(rows):
    """Each row met by a token request, with a key of its own, in one process."""
    requests = 0
    for number, row in enumerate(row for row in rows if not row.calls_only):
        yield accept(key(number))
        yield new(api_key=key(number), max_response_bytes=str(MOST))
        yield fault("token", row.action, times=None)
        verdict = row.token or {"expires_in": 60}
        yield get_token(manager=number, at_once=3, timeout=row.timeout, took=row.took, **verdict)
        yield calm()
        requests += row.requests
        yield seen(tokens_requested=requests, paths=[])


for kind, behaviours in TABLE.items():
    scenario(
        f"on the wire, {kind}: calls", new(max_response_bytes=str(MOST)), get_token(token=1), *calls_of(behaviours)
    )
    scenario(f"on the wire, {kind}: tokens", *tokens_of(behaviours))

# No connection stands, so that nothing was sent; the fault is met by all connections until it is taken away.
REFUSED = (
    ("cut_handshake", {"error": "connection_failed", "retryable": True}),
    ("alert_handshake", {"error": "tls_failed", "retryable": False}),
    (
        "stall_connection",
        {"error": "timeout", "retryable": True, "timeout": TIME, "took": between(TIME - 0.01, TIME + SLACK)},
    ),
)
scenario(
    "on the wire, no connection: calls",
    new(idle_timeout="0"),
    get_token(token=1),
    *(
        step
        for number, (action, verdict) in enumerate(REFUSED, 1)
        for step in (
            fault("any", action, times=None),
            charge(outcome="not_sent", http_status=None, **verdict),
            calm(),
            charge(status=200),
            seen(charges_created=number, paths=[CHARGES] * number),
        )
    ),
)
