<?php
// What the threads of threads.c run. A part has a class: prepare() in the main thread, run() in requests of all threads at once,
// check() in the main thread, with all that run() has returned.
require __DIR__ . '/sandbox.inc';

use Pay88\Exception;
use Pay88\TokenManager;
use function Pay88\events;

const AGENT = 'EIGHTY_EIGHT_PAY_USER_AGENT_SUFFIX';

function agent(TokenManager $tm): string
{
    return substr(strrchr($tm->request('GET', '/api/echo')->json()['data']['headers']['user-agent'], ' '), 1);
}

/** A text that says of each thread what its requests have returned, where it is not what it has to be. */
function expect(array $results, callable $expected): void
{
    foreach ($results as $thread => $requests) {
        foreach ($requests as $request => $result) {
            same($expected($thread, $request), $result, "thread $thread, request $request:");
        }
    }
}

/** All have one manager and one token; an exception is told to the thread whose it is; the environment changes all the time. */
final class Together
{
    public static function prepare(int $threads): void
    {
        Sandbox::begin();
    }

    public static function run(int $thread, int $request): string
    {
        for ($i = 0; $i < 20; $i++) {
            putenv("PAY88_TEST_{$thread}_" . random_int(0, 50) . '=' . str_repeat('x', random_int(1, 500)));
        }
        $tm = new TokenManager;
        $seen = [$tm->managerId(), count($tm->getToken()), $tm->makeRequest(CHARGES, 'POST', CHARGE)['status']];
        foreach (range(1, 3) as $try) {
            $option = "option_{$thread}_{$request}_$try";
            $error = thrown(fn () => new TokenManager(options: [$option => 1]));
            $seen[] = $error->outcome() . ' ' . (int)str_contains($error->getMessage(), $option);
        }
        return implode(', ', $seen);
    }

    public static function check(array $results): void
    {
        expect($results, fn () => '1, 3, Success, not_sent 1, not_sent 1, not_sent 1');
        same(1, Sandbox::tokensIssued());
        same(count($results) * count($results[0]), Sandbox::charges());
    }
}

/** An option comes from the first that has it: constructor, php.ini, $_ENV, $_SERVER, process. All but the last are a thread's own. */
final class Precedence
{
    public static function prepare(int $threads): void
    {
        putenv(AGENT . '=process/1');
    }

    public static function run(int $thread, int $request): string
    {
        $own = fn (string $place) => "$place/$thread.$request";
        unset($_ENV[AGENT], $_SERVER[AGENT]);
        // The process's; of even threads php.ini's, which threads.c sets for each request.
        $seen = [agent(new TokenManager)];
        if ($thread % 2) {
            $_SERVER[AGENT] = $own('server');
            $seen[] = agent(new TokenManager);
            // Text in which a program has replaced what it could not read. The library must not look for what it was.
            $_ENV[AGENT] = $own('env') . "\u{FFFD}";
            $error = thrown(fn () => new TokenManager);
            $seen[] = str_contains($error->getMessage(), 'user_agent_suffix') ? 'refused' : $error->getMessage();
            $_ENV[AGENT] = $own('env');
            $seen[] = agent(new TokenManager);
        }
        $seen[] = agent(new TokenManager(options: ['user_agent_suffix' => $own('constructor')]));
        return implode(' ', $seen);
    }

    public static function check(array $results): void
    {
        putenv(AGENT);
        expect($results, fn ($thread, $request) => $thread % 2
            ? "process/1 server/$thread.$request refused env/$thread.$request constructor/$thread.$request"
            : "ini/$thread.$request constructor/$thread.$request");
    }
}

/** A secret that threads.c gives a request by php.ini is that request's alone: not another thread's, and not the next one's. */
final class Secrets
{
    public static function prepare(int $threads): void
    {
        for ($thread = 0; $thread < $threads; $thread++) {
            $key = ['merchant_id' => getenv('EIGHTY_EIGHT_PAY_MERCHANT_ID'), 'key' => "sk_test_sandbox_thread_$thread"];
            Sandbox::control('POST', '/keys', $key);
        }
    }

    public static function run(int $thread, int $request): string
    {
        ob_start();
        phpinfo(INFO_MODULES);
        preg_match('/^pay88\.api_key => (.*)$/m', ob_get_clean(), $shown);
        return (new TokenManager)->managerId() . ' ' . $shown[1] . ' ' . var_export(ini_get('pay88.api_key'), true);
    }

    public static function check(array $results): void
    {
        $ids = array_fill_keys([...array_keys($results), 'all'], []);
        foreach ($results as $thread => $requests) {
            foreach ($requests as $request => $result) {
                [$id, $rest] = explode(' ', $result, 2);
                $ids[$request % 2 ? 'all' : $thread][$id] = true;
                same($request % 2 ? "no value => no value ''" : "set => set ''", $rest, "thread $thread, request $request:");
            }
        }
        same(array_fill_keys(array_keys($ids), 1), array_map('count', $ids));
        same(['1' => true], $ids['all']);
        same(1 + count($results), count(array_unique(array_map('key', $ids))));
    }
}

/** All wait for one token, which a thread of the library gets. */
final class Waiting
{
    public static function prepare(int $threads): void
    {
        Sandbox::begin();
        Sandbox::fault('token', ['delay' => ['seconds' => 1]]);
    }

    public static function run(int $thread, int $request): string
    {
        $tm = new TokenManager;
        return $tm->managerId() . ' ' . $tm->getToken()['access_token'];
    }

    public static function check(array $results): void
    {
        expect($results, fn () => $results[0][0]);
        same(1, Sandbox::tokensIssued());
    }
}

/** The end of a request, however it ends, drops what was the request's, and no more: another thread's call goes on. */
final class Ends
{
    public static function prepare(int $threads): void
    {
        Sandbox::begin();
        events();
        (new TokenManager)->getToken();
        Sandbox::fault(['path' => '/api/slow'], ['delay' => ['seconds' => 3]]);
    }

    public static function run(int $thread, int $request): string
    {
        static $kept;
        if ($thread === 0) {
            if ($request > 0) {
                return '';
            }
            $tm = new TokenManager;
            $begun = now();
            $status = $tm->request('GET', '/api/slow')->status();
            return "$status " . (now() - $begun > 2.5 ? 'late' : 'early') . ' ' . $tm->managerId() . ' ' . count($tm->getToken());
        }
        while (Sandbox::counters()['faults_played'] === 0) {
            pause(0.05);
        }
        $tm = new TokenManager;
        $kept = [$tm, $tm->request('GET', '/api/echo'), $tm->getToken()];
        $other = new TokenManager;
        $other->close();
        switch ($request % 3) {
            case 0:
                return 'returned';
            case 1:
                $tm->request('GET', "/api/end/$thread/$request");
                trigger_error('enough', E_USER_ERROR);
                // No break: that was the end.
            case 2:
                $other->getToken();
        }
    }

    public static function check(array $results): void
    {
        $id = (new TokenManager)->managerId();
        expect($results, fn ($thread, $request) => match (true) {
            $thread === 0 => $request === 0 ? "404 late $id 3" : '',
            $request % 3 === 0 => 'returned',
            $request % 3 === 1 => 'ended: enough',
            default => 'ended: Uncaught Pay88\Exception\ConfigInvalidException: The manager is closed.',
        });
        same(1, Sandbox::tokensIssued());
        // Nor did they take the listening of all with them.
        $ended = array_filter(events(), fn ($event) => str_starts_with($event['fields']['path'] ?? '', '/api/end/'));
        same((count($results) - 1) * intdiv(count($results[0]) + 1, 3), count($ended));
    }
}

/** What happens in any thread is told once, to the thread that asks first. */
final class Events
{
    public static function prepare(int $threads): void
    {
        events();
    }

    public static function run(int $thread, int $request): string
    {
        $tm = new TokenManager;
        $told = [];
        for ($i = 0; $i < 10; $i++) {
            $tm->request('GET', "/api/nothing/$thread/$request/$i");
            $told[] = events();
        }
        return json_encode(self::paths(array_merge(...$told)));
    }

    public static function check(array $results): void
    {
        $told = self::paths(events());
        foreach (array_merge(...$results) as $paths) {
            $told = [...$told, ...json_decode($paths)];
        }
        $happened = [];
        foreach ($results as $thread => $requests) {
            foreach (array_keys($requests) as $request) {
                for ($i = 0; $i < 10; $i++) {
                    $happened[] = "/api/nothing/$thread/$request/$i";
                }
            }
        }
        sort($told);
        sort($happened);
        same($happened, $told);
    }

    private static function paths(array $events): array
    {
        $failed = array_filter($events, fn ($event) => $event['name'] === 'call_failed');
        return array_column(array_column($failed, 'fields'), 'path');
    }
}

/** A signal that comes to a thread ends the wait of that thread, which the handler throws out of; others wait on. */
final class Signals
{
    public static function prepare(int $threads): void
    {
        Sandbox::fault(['path' => '/api/slow'], ['delay' => ['seconds' => 4]], null);
        Sandbox::fault(['path' => '/api/never'], 'stall', null);
    }

    public static function run(int $thread, int $request): string
    {
        $ran = 0;
        $waits = false;
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, function () use (&$ran, &$waits) {
            $ran++;
            if ($waits) {
                $waits = false;
                throw new DomainException;
            }
        });
        // threads.c sends it to these all the time.
        pcntl_sigprocmask(SIG_UNBLOCK, [SIGUSR1]);
        $tm = new TokenManager;
        $result = '';
        if ($thread % 2) {
            $result = $tm->request('GET', '/api/slow')->status() . " $ran";
        }
        while ($result === '') {
            try {
                $waits = true;
                $tm->request('GET', '/api/never', ['timeout' => 60]);
            } catch (DomainException $e) {
                // It may have come before the call began; then another one will come.
                $ours = $e->getPrevious();
                $result = $ours ? get_class($ours) . ' ' . $ours->outcome() : '';
            }
        }
        pcntl_sigprocmask(SIG_BLOCK, [SIGUSR1]);
        pcntl_signal_dispatch();
        return $result;
    }

    public static function check(array $results): void
    {
        Sandbox::control('DELETE', '/faults');
        foreach ($results as $thread => $requests) {
            foreach ($requests as $request => $result) {
                $expected = $thread % 2 ? ['404 0'] : array_map(fn ($outcome) => Exception\CanceledException::class . " $outcome", ['not_sent', 'unknown']);
                holds(in_array($result, $expected, true), "thread $thread, request $request: $result");
            }
        }
    }
}

/** The time limit of a thread ends that thread's call; others wait on, and the next request of the thread works. */
final class Limits
{
    private static float $begun;

    public static function prepare(int $threads): void
    {
        Signals::prepare($threads);
        self::$begun = now();
    }

    public static function run(int $thread, int $request): string
    {
        $tm = new TokenManager;
        if ($thread % 2 || $request % 2) {
            return (string)$tm->request('GET', $request % 2 ? '/api/echo' : '/api/slow')->status();
        }
        set_time_limit(1);
        $tm->request('GET', '/api/never', ['timeout' => 300]);
        return 'nothing ended it';
    }

    public static function check(array $results): void
    {
        Sandbox::control('DELETE', '/faults');
        expect($results, fn ($thread, $request) => match (true) {
            $request % 2 === 1 => '200',
            $thread % 2 === 1 => '404',
            default => 'ended: Maximum execution time of 1 second exceeded',
        });
        // PHP ends a request whose time is over also when the call has ended by itself.
        holds(now() - self::$begun < 200, 'that the limits ended the calls');
    }
}

/** What a check has to say; nothing if all is right. */
function told_by(callable $check, array $results): string
{
    ob_start();
    $check($results);
    return ob_get_clean();
}
