--TEST--
While a call waits for a token, a connection or an answer: handlers of signals run within 0.2 s; what they throw, exit(), a fatal error and the time limit end it
--SKIPIF--
<?php
if (!function_exists('pcntl_async_signals')) die('skip pcntl is missing');
?>
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
// Under valgrind all takes longer.
$slow = (int)getenv('PAY88_TEST_SLOW') ?: 1;
$phases = ['token' => 'not_sent', 'connecting' => 'not_sent', 'answer' => 'unknown'];
if (str_starts_with(getenv('EIGHTY_EIGHT_PAY_BASE_URL'), 'http:')) {
    // What is slow is TLS.
    unset($phases['connecting']);
}

function wait_in(string $phase, string $what): array
{
    $file = tempnam(sys_get_temp_dir(), 'pay88');
    $flags = explode(' ', trim(getenv('PAY88_TEST_PHP_FLAGS')));
    $command = [PHP_BINARY, ...$flags, '-d', 'html_errors=0', '-d', 'display_errors=1', __DIR__ . '/waiting.inc', $phase, $what, $file];
    // For valgrind, which sees that PHP frees nothing then.
    $end = ['PAY88_TEST_END' => preg_match('/^(fatal|memory|exit|time.*)$/', $what) ? 'fatal' : 'usual'];
    $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes, null, $end + getenv());
    $output = stream_get_contents($pipes[1]);
    $status = proc_close($process);
    unlink($file);
    // How late a handler was.
    $late = preg_match('/\|(\d+\.\d{3})/', $output, $match) ? (float)$match[1] : null;
    return [str_replace($match[0] ?? '', '', $output), $late, $status];
}

$canceled = Pay88\Exception\CanceledException::class;
foreach ($phases as $phase => $outcome) {
    $success = $phase === 'token' ? 3 : 'Success';
    $expected = [
        'handler' => ["$success|at last|shutdown", 0],
        'throw' => ["DomainException enough|LogicException why|$canceled $outcome||shutdown", 0],
        'close' => ["$canceled $outcome||shutdown", 0],
        'again' => ["200$success|at last|shutdown", 0],
        'fiber' => ["FiberError Cannot switch fibers in current execution context|$canceled $outcome||shutdown", 0],
        'exit' => ['|shutdown', 7],
        'memory' => ['/Fatal error: Allowed memory size of 16777216 bytes exhausted.*\|shutdown$/s', 255],
        'fatal' => ['/Fatal error: the end.*\|shutdown$/s', 255],
    ];
    foreach (['time', 'time with a signal', 'time in a handler', 'time and a throw'] as $what) {
        $expected[$what] = ['/Fatal error: Maximum execution time of 1(00 seconds| second) exceeded.*\|shutdown$/s', 255];
    }
    if (getenv('USE_ZEND_ALLOC') === '0') {
        // There is no limit of memory then.
        unset($expected['memory']);
    }
    if ($slow === 10 && $phase !== 'answer') {
        $expected = array_slice($expected, 1, 1);
    }
    foreach ($expected as $what => [$said, $status]) {
        // A busy machine may be late by itself, but not always.
        for ($try = 0; $try < 5 && ($try === 0 || $late >= 0.2 * $slow); $try++) {
            [$output, $late, $ended] = wait_in($phase, $what);
        }
        same($status, $ended, "$phase, $what:");
        holds($said[0] === '/' ? (bool)preg_match($said, $output) : $said === $output, "$phase, $what: $said in $output:");
        holds($late !== null && $late < 0.2 * $slow, "$phase, $what: $late s:");
    }
}
echo "done\n";
?>
--EXPECT--
done
