"""Managers and their tokens."""

import collections.abc
import subprocess
import sys
import threading
import time

import pytest

import pay88


def test_the_cached_token_is_the_same_object(tm, sandbox):
    assert tm.peek_token() is None
    token = tm.get_token()
    assert tm.get_token() is token and tm.peek_token() is token
    assert sandbox.control("GET", "/counters")["tokens_issued"] == 1
    assert token.expires_in == 60 and 0 < token.valid_for <= 50
    assert token["access_token"] == token.access_token
    assert token["session_id"] == token.session_id
    assert token["expires_in"] == token.expires_in
    with pytest.raises(KeyError):
        token["other"]


def test_a_token_is_read_as_88pays_answer_and_is_no_mapping_that_error_reports_print(tm):
    token = tm.get_token()
    answer = dict(token)
    assert answer == {name: getattr(token, name) for name in ("access_token", "expires_in", "session_id")}
    assert {**token} == answer
    assert list(token) == token.keys() == list(answer)
    assert len(token) == 3
    assert "session_id" in token and "other" not in token and 1 not in token
    assert not isinstance(token, (collections.abc.Mapping, collections.abc.Sequence))
    for shown in (repr(token), str(token), f"{token}", repr([token])):
        assert token.access_token[:12] not in shown and token.session_id[:12] not in shown


def test_objects_of_the_same_credentials_share_one_token(tm, sandbox):
    other = sandbox.manager(timeout=5)
    assert other.manager_id == tm.manager_id
    assert other.get_token() == tm.get_token()
    assert hash(other.get_token()) == hash(tm.get_token())


def test_other_credentials_have_another_manager(tm, sandbox):
    other = sandbox.manager(api_key=sandbox.new_key())
    assert other.manager_id != tm.manager_id
    assert other.get_token() != tm.get_token()


def test_threads_at_an_empty_cache_ask_for_one_token(tm, sandbox):
    barrier = threading.Barrier(200)
    tokens = []

    def get():
        barrier.wait()
        tokens.append(tm.get_token())

    threads = [threading.Thread(target=get) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(tokens) == 200 and len({id(token) for token in tokens}) == 1
    assert sandbox.control("GET", "/counters")["tokens_issued"] == 1


def test_an_invalidated_token_is_replaced(tm):
    token = tm.get_token()
    assert tm.invalidate() is True
    assert tm.peek_token() is None
    assert tm.invalidate() is False
    assert tm.get_token() != token


def test_a_rotated_key_is_used_for_the_next_token(tm, sandbox):
    old = tm.get_token()
    tm.rotate(sandbox.new_key())
    sandbox.control("DELETE", "/keys", {"key": sandbox.api_key})
    tm.invalidate()
    assert tm.get_token() != old


def test_a_closed_manager_refuses_and_the_others_go_on(sandbox):
    first, second = sandbox.manager(), sandbox.manager()
    with first as entered:
        assert entered is first
    with pytest.raises(pay88.Pay88Error) as caught:
        first.get_token()
    assert caught.value.code == "config_invalid"
    assert second.get_token()


def test_a_closed_manager_holds_no_option_of_those_that_come_after_it(sandbox):
    closed, entered = sandbox.manager(), sandbox.manager()
    closed.close()
    with entered, pytest.raises(pay88.Pay88Error, match="close") as caught:
        sandbox.manager(tokens_per_hour=99)
    assert caught.value.code == "config_invalid"
    assert sandbox.manager(tokens_per_hour=99).get_token()
    # Both are still held by the test, closed as they are.
    assert closed.manager_id == entered.manager_id


def test_statistics_count(tm):
    tm.get_token()
    tm.make_request("/api/echo")
    stats = tm.stats()
    assert (stats["tokens_issued"], stats["calls"], stats["manager_id"]) == (1, 1, tm.manager_id)
    assert stats["token_age"] >= 0 and stats["budget_split"] == 1
    for _ in range(100):
        tm.get_token()
    assert tm.stats()["hits"] == stats["hits"] + 100


def test_what_is_kept_ends_with_the_token(sandbox):
    usual = sandbox.control("GET", "/switches")["expires_in"]
    sandbox.control("POST", "/switches", {"expires_in": 13})
    # So it lives for three seconds.
    tm = sandbox.manager(tokens_per_hour=3600)
    try:
        for _ in range(3):
            token = tm.get_token()
    finally:
        sandbox.control("POST", "/switches", {"expires_in": usual})
    while token.valid_for > 0:
        time.sleep(0.02)
    assert tm.get_token() != token


def test_what_is_kept_is_dropped_with_the_token(tm, sandbox):
    other = sandbox.manager()
    for _ in range(3):
        first, same = tm.get_token(), other.get_token()
    assert first == same
    assert other.invalidate(same) is True
    second = tm.get_token()
    assert second != first and tm.get_token() is second
    for _ in range(3):
        assert other.get_token() == second
    tm.close()
    with pytest.raises(pay88.Pay88Error, match="close"):
        tm.get_token()
    assert other.get_token() == second


def test_what_is_not_given_comes_from_the_environment(sandbox):
    program = "import pay88; tm = pay88.TokenManager(timeout=None); tm.get_token(); print(tm.merchant_id, tm.base_url)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=sandbox.environment, capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""
    assert done.stdout.split() == [sandbox.merchant_id, sandbox.base_url]
