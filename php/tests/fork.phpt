--TEST--
pcntl_fork() before the first use, after it, and in the middle of a call: child and parent go on, with one token
--SKIPIF--
<?php
if (!function_exists('pcntl_fork')) die('skip pcntl is missing');
?>
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

use Pay88\TokenManager;

/** What the child says, which ends as a program does. */
function in_child(callable $run): mixed
{
    [$read, $write] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $child = pcntl_fork();
    if ($child === 0) {
        fclose($read);
        try {
            $said = $run();
        } catch (Pay88\Exception\Pay88Exception $e) {
            $said = [$e->errorCode(), $e->outcome()];
        }
        fwrite($write, json_encode($said));
        exit(0);
    }
    fclose($write);
    $said = json_decode(stream_get_contents($read), true);
    pcntl_waitpid($child, $status);
    same(0, pcntl_wexitstatus($status), 'the end of the child:');
    return $said;
}
$charge = fn (TokenManager $tm) => $tm->makeRequest(CHARGES, 'POST', CHARGE)['status'];

// Before the first use.
$tm = new TokenManager();
same('Success', in_child(fn () => $charge($tm)));
same('Success', $charge($tm));
same(1, Sandbox::tokensIssued());

// After it.
$token = $tm->getToken();
same($token, in_child(fn () => $tm->getToken()));
same('Success', in_child(fn () => $charge($tm)));
same('Success', in_child(fn () => $charge(new TokenManager())));
same('Success', $charge($tm));
same($token, $tm->getToken());
same(1, Sandbox::tokensIssued());

// In the middle of a call: a handler forks.
pcntl_async_signals(true);
$process = getmypid();
$said = null;
pcntl_signal(SIGUSR1, function () use (&$child, &$read, &$write) {
    [$read, $write] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $child = pcntl_fork();
});
Sandbox::fault('calls', ['delay' => ['seconds' => 4]]);
Sandbox::onceCounted('faults_played', 1, "kill -USR1 $process");
$answer = thrown_or(fn () => $charge($tm));
if ($child === 0) {
    fwrite($write, json_encode([$answer, $charge($tm), count($tm->getToken())]));
    exit(0);
}
fclose($write);
same('Success', $answer);
same([['forked', 'unknown'], 'Success', 3], json_decode(stream_get_contents($read), true));
pcntl_waitpid($child, $status);
same(0, pcntl_wexitstatus($status));
same('Success', $charge($tm));

// While a token is being asked for.
Sandbox::set(['token_delay' => 4]);
$tm = new TokenManager(Sandbox::newKey());
Sandbox::onceCounted('tokens_requested', 2, "kill -USR1 $process");
$answer = thrown_or(fn () => count($tm->getToken()));
if ($child === 0) {
    fwrite($write, json_encode([$answer, count($tm->getToken()), $charge($tm)]));
    exit(0);
}
fclose($write);
same(3, $answer);
same([['forked', 'not_sent'], 3, 'Success'], json_decode(stream_get_contents($read), true));
pcntl_waitpid($child, $status);
same(0, pcntl_wexitstatus($status));
Sandbox::set(['token_delay' => 0]);
same(2, Sandbox::tokensIssued());
same(9, Sandbox::charges());
echo "done\n";

function thrown_or(callable $run): mixed
{
    try {
        return $run();
    } catch (Pay88\Exception\Pay88Exception $e) {
        return [$e->errorCode(), $e->outcome()];
    }
}
?>
--EXPECT--
done
