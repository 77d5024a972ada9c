#!/usr/bin/env python3
"""PHP on the command line: processes in a row, forks at any moment, and the documentation's own sample.

    php/tests/test_processes.py [--debug]

Needs what php/build.sh has built (with --debug: php/build.sh --debug).
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import time
import unittest

import web

PROCESSES = 40
# Of loading the extension, which is nearly all the kernel's work. A busy machine changes them less than times.
MOST_FAULTS = 120

# "Token Caching Strategy", PHP, from its first line below the class on; what its dots stand for is filled in.
DOCUMENTED = """
use Pay88\\TokenManager;

// Initialize once
$tokenManager = new TokenManager(
  getenv('EIGHTY_EIGHT_PAY_API_KEY'),
  getenv('EIGHTY_EIGHT_PAY_MERCHANT_ID'),
  getenv('EIGHTY_EIGHT_PAY_BASE_URL') ?: 'https://api-sandbox.88pay.io'
);

// Usage
$payment = $tokenManager->makeRequest(
  '/api/transactions/charges',
  'POST',
  ['flow' => 'PAYIN', 'method_code' => 'CARDS', 'amount' => 50000, 'currency' => 'COP', 'country' => 'COL']
);
"""

# What each part of a test says of itself goes to a file, a line each.
PARTS = """
function charge(string $order): mixed {
    try {
        return (new Pay88\\TokenManager())->makeRequest('/api/transactions/charges', 'POST', [
            'flow' => 'PAYIN', 'method_code' => 'CARDS', 'amount' => 50000, 'currency' => 'COP', 'country' => 'COL',
            'description' => $order,
        ])['code'];
    } catch (Pay88\\Exception\\Pay88Exception $e) {
        return $e->errorCode() . ' ' . $e->outcome();
    }
}
function told(string $part, mixed $what): void {
    file_put_contents(getenv('TOLD'), json_encode([$part, $what]) . "\\n", FILE_APPEND);
}
"""
GET_TOKEN = "(new Pay88\\TokenManager())->getToken();"


class Processes(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.web = web.Web(stack)
        self.told = self.web.directory / "told"
        self.fresh()

    def fresh(self):
        """Another key, and a sandbox that has counted nothing."""
        self.web.sandbox.control("POST", "/reset")
        settings = self.web.merchant()
        self.environment = {f"EIGHTY_EIGHT_PAY_{name.upper()}": value for name, value in settings.items()}
        self.environment |= {"PATH": os.environ["PATH"], "TOLD": str(self.told)}

    def tearDown(self):
        self.web.shared.add(self.php("echo (new Pay88\\TokenManager())->stats()['share_path'];"))

    def php(self, code, beside=lambda process: None, **more):
        """Runs it, and `beside` meanwhile; returns what it printed."""
        self.told.write_text("")
        process = subprocess.Popen(
            ["php", "-n", "-d", f"extension={self.web.extension}/pay88.so", "-r", code],
            env={**self.environment, **more}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            beside(process)
            out, err = process.communicate(timeout=web.LIMIT)
        finally:
            process.kill()
            process.wait()
        self.assertEqual((process.returncode, err), (0, ""), out)
        return out

    def parts(self):
        parts = {}
        for line in self.told.read_text().splitlines():
            name, what = json.loads(line)
            self.assertNotIn(name, parts)
            parts[name] = what
        return parts

    def assert_seen(self, charges, tokens=1):
        counted = self.web.sandbox.counted()
        seen = {name: counted[name] for name in ("tokens_requested", "charges_created", "unauthorized")}
        self.assertEqual(seen, {"tokens_requested": tokens, "charges_created": charges, "unauthorized": 0})

    def test_processes_in_a_row_need_one_token(self):
        for number in range(PROCESSES):
            self.assertEqual(self.php(f"{PARTS} echo charge('{number}');"), "200")
        self.assert_seen(PROCESSES)

    def test_loading_the_extension_takes_little(self):
        web.needs_release()
        extension = ["-d", f"extension={self.web.extension}/pay88.so"]
        faults = [self.start(*extension).ru_minflt - self.start().ru_minflt for _ in range(9)]
        print(f"loading takes {statistics.median(faults)} page faults", flush=True)
        self.assertLessEqual(statistics.median(faults), MOST_FAULTS)

    def start(self, *options):
        """What a start of PHP takes that does nothing."""
        process = subprocess.Popen(["php", "-n", *options, "-r", ";"])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage

    def test_the_documented_sample_runs_with_only_its_class_replaced(self):
        printed = self.php(f"{DOCUMENTED} echo $payment['code'], ' ', $payment['data']['reference'];")
        self.assertRegex(printed, r"^200 [0-9a-f-]{36}$")
        self.assert_seen(1)

    def test_a_token_ends_by_the_clock_of_the_library_where_a_program_replaces_it(self):
        clock = self.web.directory / "clock.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-o", clock, web.ROOT / "php" / "tests" / "clock.c"],
            check=True,
            timeout=web.LIMIT,
        )
        said = self.php(
            """$tm = new Pay88\\TokenManager();
            $first = $tm->getToken();
            echo $tm->getToken() === $first ? 'kept' : 'another', ' ';
            putenv('PAY88_TEST_AHEAD=4000');
            echo $tm->getToken() === $first ? 'kept' : 'another';""",
            LD_PRELOAD=str(clock),
        )
        self.assertEqual(said, "kept another")

    def test_a_fork_before_the_first_use(self):
        self.php(
            f"""{PARTS}
            $tm = new Pay88\\TokenManager();
            $child = pcntl_fork();
            told($child ? 'parent' : 'child', [charge($child ? 'parent' : 'child'), $tm->getToken()['expires_in']]);
            if ($child) {{
                pcntl_waitpid($child, $status);
                told('status', $status);
            }}
            """
        )
        self.assertEqual(self.parts(), {"parent": [200, 3600], "child": [200, 3600], "status": 0})
        self.assert_seen(2)

    def test_a_fork_after_the_first_use_and_another_one_in_the_child(self):
        self.php(
            f"""{PARTS}
            $tm = new Pay88\\TokenManager();
            charge('first');
            $token = $tm->getToken();
            $name = 'parent';
            foreach (['child', 'grandchild'] as $next) {{
                if ($child = pcntl_fork()) {{
                    break;
                }}
                $name = $next;
            }}
            $codes = [];
            for ($number = 0; $number < 5; $number++) {{
                $codes[] = charge("$name $number");
            }}
            told($name, [$codes, $tm->getToken() === $token]);
            if ($child) {{
                pcntl_waitpid($child, $status);
                told("$name waited", $status);
            }}
            """
        )
        each = [[200] * 5, True]
        wanted = {"parent": each, "child": each, "grandchild": each, "parent waited": 0, "child waited": 0}
        self.assertEqual(self.parts(), wanted)
        self.assert_seen(16)

    # The handler of a signal runs while the call waits, and forks there.
    IN_FLIGHT = f"""{PARTS}
        $child = null;
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, function () use (&$child) {{
            $child = pcntl_fork();
            if ($child === 0 && getenv('AT_ONCE')) {{
                told('child', charge('child'));
                exit(0);
            }}
        }});
        BEFORE
        $code = charge('in flight');
        if ($child === 0) {{
            told('interrupted', $code);
            told('child', charge('child'));
            exit(0);
        }}
        told('parent', [$code, charge('afterwards')]);
        pcntl_waitpid($child, $status);
        told('status', $status);
        """

    def signal_in_flight(self, process):
        """When the call has met its fault, and a little later, so that it waits there."""
        end = time.monotonic() + web.LIMIT
        while not self.web.sandbox.control("GET", "/counters")["faults_played"]:
            self.assertLess(time.monotonic(), end, "the call does not come")
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGUSR1)

    def fork_in_flight(self, fault, before="", prepare=lambda: None, **more):
        """The parent's call goes on, and the child makes one: in the handler, or after the call has ended there."""
        for at_once in ("1", ""):
            with self.subTest(at_once=at_once):
                self.fresh()
                prepare()
                self.web.sandbox.control("POST", "/faults", fault)
                self.php(self.IN_FLIGHT.replace("BEFORE", before), self.signal_in_flight, AT_ONCE=at_once, **more)
                parts = self.parts()
                if not at_once:
                    self.assertEqual(parts.pop("interrupted"), "forked unknown")
                self.assertEqual(parts, {"parent": [200, 200], "child": 200, "status": 0})
                self.assert_seen(3)

    def test_a_fork_while_a_call_waits_for_a_token(self):
        self.fork_in_flight({"on": "token", "action": {"delay": {"seconds": 3}}})

    def test_a_fork_while_a_call_connects(self):
        # The token is there already; the call opens another connection once this one has taken too long.
        self.fork_in_flight(
            {"on": "any", "action": "stall_connection"},
            prepare=lambda: self.php(GET_TOKEN),
            EIGHTY_EIGHT_PAY_CONNECT_TIMEOUT="3",
        )

    def test_a_fork_while_a_call_waits_for_its_answer(self):
        self.fork_in_flight({"on": "calls", "action": {"delay": {"seconds": 3}}}, before=GET_TOKEN)


if __name__ == "__main__":
    web.main()
