--TEST--
Events: nothing is kept before the first look, each is given once, none holds a secret, and a forked child has its own
--SKIPIF--
<?php
if (!function_exists('pcntl_fork')) die('skip pcntl is missing');
?>
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

use function Pay88\events;
use Pay88\TokenManager;

$tm = new TokenManager();
$tm->getToken();
same([], events());
$tm->request('POST', CHARGES, ['json' => ['flow' => 'x']]);
[$event] = $all = events();
same(1, count($all));
same(['call_failed', 'warning', $tm->managerId()], [$event['name'], $event['level'], $event['manager_id']]);
holds(abs($event['time'] - 1000 * now()) < 60_000);
same(400, $event['fields']['status']);
same([], events());

// The queue is bounded, and tells what it dropped.
for ($i = 0; $i < 1010; $i++) {
    $tm->request('GET', '/api/nothing');
}
$names = array_count_values(array_column(events(), 'name'));
same(['call_failed' => 1000, 'events_dropped' => 1], $names);
same([], events());

// A child tells what happens in it, and its parent does not.
$child = pcntl_fork();
if ($child === 0) {
    $own = new TokenManager(Sandbox::newKey());
    $own->getToken();
    $names = array_column(events(), 'name');
    posix_kill(posix_getpid(), $names === ['token_issued'] ? SIGTERM : SIGABRT);
}
pcntl_waitpid($child, $status);
same(SIGTERM, pcntl_wtermsig($status));
same([], events());
$tm->request('POST', CHARGES, ['json' => ['flow' => 'x']]);
same(['call_failed'], array_column(events(), 'name'));
echo "done\n";
?>
--EXPECT--
done
