#!/usr/bin/env python3
"""php-fpm behind nginx: one token for all workers, whatever php-fpm does with them, and settings where they are set there.

    php/tests/test_fpm.py [--debug]

Needs root, and what php/build.sh has built (with --debug: php/build.sh --debug).
"""

import collections
import contextlib
import json
import signal
import statistics
import unittest

import web

ORDERS = 2000
# Of a start, when no worker has a connection.
COLD = 160
# In KiB.
MOST_GROWTH = 128
# In kB, of a worker that makes charges: what it has more of than one that does not have the extension.
MOST_RESIDENT, MOST_WRITTEN = 4500, 500


def env(settings):
    """Settings of a pool: variables of its own."""
    return [f'env[EIGHTY_EIGHT_PAY_{name.upper()}] = "{value}"' for name, value in settings.items()]


def ini(settings):
    return [f'pay88.{name} = "{value}"' for name, value in settings.items()]


def admin(settings):
    return [f'php_admin_value[pay88.{name}] = "{value}"' for name, value in settings.items()]


class Fpm(unittest.TestCase):
    def setUp(self):
        web.needs_root()
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.web = web.Web(self.stack)

    def warm(self, answers):
        """Orders until each worker has had some, of which the kernel decides; all answers so far."""
        seen = collections.Counter(answer["pid"] for answer in answers)
        while len(seen) < web.WORKERS or min(seen.values()) < 5:
            answers = answers + self.web.charges(len(answers), len(answers) + 1)
            seen[answers[-1]["pid"]] += 1
            self.assertLess(len(answers), ORDERS, f"a worker gets no requests: {seen}")
        return answers

    def test_one_token_and_a_connection_each_without_growth(self):
        self.web.start({"www": env(self.web.merchant())})
        # At once, when no worker has made a call yet: then a charge that follows another one closely has to wait, or it would
        # open a second connection (see "A charge goes over a kept connection" in ARCHITECTURE.md).
        warm = self.warm(self.web.charges(0, COLD))
        seen = {answer["pid"] for answer in warm}
        before = {}
        answers = self.web.charges(
            len(warm), len(warm) + ORDERS, at_half=lambda: before.update({pid: web.own_memory(pid) for pid in seen})
        )
        growth = {pid: web.own_memory(pid) - kilobytes for pid, kilobytes in before.items()}
        self.assertEqual(self.web.workers(), set(seen), "workers were replaced")
        self.assertLessEqual(max(growth.values()), MOST_GROWTH, growth)
        peak = self.web.sandbox.counted()["connections_peak"]
        print(f"{ORDERS} requests, grown by at most {max(growth.values())} KiB, {peak} connections at once", flush=True)
        # One each, and another one of the worker that has asked for the token.
        self.assertLessEqual(peak, web.WORKERS + 1)
        self.web.assert_charged(self, len(warm) + ORDERS, warm + answers)

    def test_a_worker_needs_little_memory(self):
        web.needs_release()
        self.web.script("charge", "<?php echo json_encode(['pid' => getmypid(), 'code' => 200, 'path' => null]);")
        self.web.start({"www": []}, extension=False)
        without = self.memory()
        self.assertEqual(self.web.stop(signal.SIGTERM), 0)
        self.web = web.Web(self.stack)
        self.web.start({"www": env(self.web.merchant())})
        resident, written = (1.024 * (more - less) for more, less in zip(self.memory(), without))
        print(f"a worker has {resident:.0f} kB more, at most {written:.0f} of them written by it", flush=True)
        self.assertLessEqual(resident, MOST_RESIDENT)
        self.assertLessEqual(written, MOST_WRITTEN)

    def memory(self):
        """What a worker has once each has answered: the median of what is resident, the most of what it has written."""
        answers = self.warm(self.web.charges(0, 2 * COLD))
        each = [web.resident_and_written(pid) for pid in {answer["pid"] for answer in answers}]
        resident, written = zip(*each)
        return statistics.median(resident), max(written)

    def test_a_graceful_reload_loses_nothing(self):
        self.web.start({"www": env(self.web.merchant())})
        before = self.web.workers()
        answers = self.web.charges(0, ORDERS, at_half=lambda: self.web.master.send_signal(signal.SIGUSR2))
        self.web.until_replaced(before)
        answers += self.web.charges(ORDERS, ORDERS + 200)
        self.assertTrue({answer["pid"] for answer in answers} - before, "no new worker answered")
        self.web.assert_charged(self, ORDERS + 200, answers)

    def test_workers_that_are_replaced_all_the_time_need_one_token(self):
        self.web.start({"www": [*env(self.web.merchant()), "pm.max_requests = 50"]})
        answers = self.web.charges(0, ORDERS)
        self.assertGreaterEqual(len({answer["pid"] for answer in answers}), ORDERS // 50)
        self.web.assert_charged(self, ORDERS, answers)

    def preload(self, user):
        """A script that runs before the workers are there, and gets a token."""
        pids = self.web.directory / "preloaded"
        pids.touch()
        pids.chmod(0o666)
        self.web.script(
            "preload",
            f"""<?php
            $token = (new Pay88\\TokenManager())->getToken();
            file_put_contents('{pids}', getmypid() . ' ' . posix_geteuid() . "\\n", FILE_APPEND);
            """,
        )
        settings = ini(self.web.merchant())
        settings += [f"opcache.preload={self.web.directory}/preload.php", "opcache.enable=1", "extension=posix"]
        settings += [] if user else [f"opcache.preload_user={web.USER}"]
        self.web.start({"www": []}, ini=settings, user=user)
        return lambda: [line.split() for line in pids.read_text().splitlines()]

    def go_on_reload_and_stop(self, preloaded):
        answers = self.web.charges(0, 400)
        before = self.web.workers()
        self.web.master.send_signal(signal.SIGUSR2)
        web.until("the script runs once more", lambda: len(preloaded()) == 2)
        self.web.until_replaced(before)
        answers += self.web.charges(400, 800)
        self.web.assert_charged(self, 800, answers)
        self.assertEqual(self.web.stop(signal.SIGQUIT), 0)

    def test_a_token_that_a_preloaded_script_gets_as_root(self):
        preloaded = self.preload(user=None)
        # PHP runs it in a child, as the user that is named.
        ((pid, user),) = preloaded()
        self.assertNotEqual((int(pid), user), (self.web.master.pid, "0"))
        self.go_on_reload_and_stop(preloaded)

    def test_a_token_that_a_preloaded_script_gets_in_the_master_itself(self):
        preloaded = self.preload(user=web.USER)
        ((pid, _),) = preloaded()
        self.assertEqual(int(pid), self.web.master.pid)
        self.go_on_reload_and_stop(preloaded)

    def test_pools_of_two_merchants(self):
        one, two = self.web.merchant(), self.web.merchant()
        self.web.start({"one": admin(one), "two": admin(two)}, ini=ini({**one, "api_key": "sk_test_sandbox_of_nobody"}))
        answers = self.web.charges(0, 200, pool="one") + self.web.charges(200, 400, pool="two")
        self.assertEqual(len({answer["path"] for answer in answers}), 2)
        self.web.assert_charged(self, 400, answers, tokens=2)
        self.assertEqual(self.web.stop(signal.SIGTERM), 0)

    def test_a_pool_has_the_environment_that_it_says(self):
        self.web.script(
            "told",
            """<?php
            try {
                $merchant = (new Pay88\\TokenManager())->merchantId();
                echo json_encode(['merchant' => $merchant]);
            } catch (Pay88\\Exception\\Pay88Exception $e) {
                echo json_encode(['code' => $e->errorCode(), 'hint' => $e->hint()]);
            }
            """,
        )
        settings = self.web.merchant()
        variables = {f"EIGHTY_EIGHT_PAY_{name.upper()}": value for name, value in settings.items()}
        self.web.start(
            {"cleared": ["clear_env = yes"], "kept": ["clear_env = no"], "own": ["clear_env = yes", *env(settings)]},
            environment=variables,
        )
        told = {name: json.loads(self.web.get(f"/{name}/told")[1]) for name in ("cleared", "kept", "own")}
        self.assertEqual(told["cleared"].get("code"), "config_invalid", told)
        for word in ("clear_env", "env[", "php_admin_value"):
            self.assertIn(word, told["cleared"]["hint"])
        self.assertEqual(told["kept"], {"merchant": settings["merchant_id"]})
        self.assertEqual(told["own"], {"merchant": settings["merchant_id"]})


if __name__ == "__main__":
    web.main()
