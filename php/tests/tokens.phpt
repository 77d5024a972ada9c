--TEST--
One token: for all objects of the same credentials, until it is dropped; a failure says what, why and when
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

use Pay88\TokenManager;

$tm = new TokenManager();
same(null, $tm->peekToken());
$token = $tm->getToken();
same(['access_token', 'session_id', 'expires_in'], array_keys($token));
same($token, $tm->getToken());
same($token, $tm->getToken(5));
same($token, $tm->peekToken());
$other = new TokenManager(getenv('EIGHTY_EIGHT_PAY_API_KEY'));
same($tm->managerId(), $other->managerId());
same($token, $other->getToken());
same(1, Sandbox::tokensIssued());

// What a program does to its array does nothing to the token.
$token['access_token'] = 'changed';
holds($tm->getToken()['access_token'] !== 'changed');

// Only the token that is meant is dropped.
$first = $tm->getToken();
same(false, $tm->invalidate($token));
same($first, $tm->getToken());
same(true, $other->invalidate($first));
same(null, $tm->peekToken());
$second = $tm->getToken();
holds($second['access_token'] !== $first['access_token']);
same(false, $tm->invalidate($first));
same(2, Sandbox::tokensIssued());
// Each use is one hit, also the first of a token that another object has got.
$before = $tm->stats()['hits'];
for ($i = 0; $i < 5; $i++) {
    same($second, $other->getToken());
}
same($before, $tm->stats()['hits'] - 1);
same($before + 5, $other->stats()['hits']);
$limited = thrown(fn () => $tm->invalidate(), Pay88\Exception\RateLimitedException::class);
holds($limited->retryAfter() > 0 && $limited->retryAfter() <= 10);
same($second, $tm->getToken());
thrown(fn () => $tm->invalidate(['token' => 'x']));
thrown(fn () => $tm->invalidate(['access_token' => 1]));

$stats = $tm->stats();
same(2, $stats['tokens_issued']);
same('host', $stats['share']);
same($tm->managerId(), $stats['manager_id']);

// The new key gets a token when there is need of one.
$new = Sandbox::newKey();
$tm->rotate($new);
same($tm->managerId(), (new TokenManager($new))->managerId());
$tm->rotate(apiKey: Sandbox::newKey(), keepOld: false);
thrown(fn () => $tm->rotate(''));

// What is handed out without a call of the library counts as well.
$before = $tm->stats()['hits'];
for ($i = 0; $i < 100; $i++) {
    $tm->getToken();
}
same($before + 100, $tm->stats()['hits']);

// What is kept ends with the token, which lives for three seconds.
Sandbox::set(['expires_in' => 13]);
$brief = new TokenManager(Sandbox::newKey(), options: ['tokens_per_hour' => 3600]);
for ($i = 0; $i < 3; $i++) {
    $ended = $brief->getToken();
}
Sandbox::set(['expires_in' => 60]);
while ($brief->stats()['token_valid_for'] > 0) {
    usleep(50_000);
}
holds($brief->getToken()['access_token'] !== $ended['access_token']);

// Closing ends this object alone.
$other->getToken();
$other->getToken();
$other->close();
same(true, $other->isClosed());
thrown(fn () => $other->getToken());
thrown(fn () => $other->peekToken());
thrown(fn () => $other->request('GET', '/api/x'));
same(false, $tm->isClosed());
holds(is_array($tm->getToken()));

// Times are in seconds.
foreach ([0, -1, NAN] as $time) {
    same('The timeout must be above 0.', thrown(fn () => $tm->getToken($time))->getMessage());
}
thrown(fn () => $tm->getToken(3601));
thrown(fn () => $tm->getToken(INF));
thrown(fn () => $tm->getToken('soon'), TypeError::class);
Sandbox::set(['token_delay' => 30]);
$slow = new TokenManager(Sandbox::newKey());
$begun = now();
$late = thrown(fn () => $slow->getToken(0.3), Pay88\Exception\TimeoutException::class);
holds(now() - $begun < 20);
same(['timeout', 'not_sent', true], [$late->errorCode(), $late->outcome(), $late->retryable()]);
Sandbox::set(['token_delay' => 0]);
echo "done\n";
?>
--EXPECT--
done
