--TEST--
Options: the constructor wins over php.ini, which wins over $_ENV, $_SERVER and the process, in this order; what cannot be used is named
--INI--
pay88.timeout=7.5
pay88.idle_timeout=
variables_order=EGPCS
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

use Pay88\TokenManager;

// What the sandbox is told of the option: one that differs for each object.
$agent = fn (array $options = []) => (new TokenManager(options: $options))->request('GET', '/api/echo')->json()['data']['headers']['user-agent'];
const NAME = 'EIGHTY_EIGHT_PAY_USER_AGENT_SUFFIX';
$plain = $agent();
putenv(NAME . '=process/1');
same("$plain process/1", $agent());
$_SERVER[NAME] = 'server/1';
same("$plain server/1", $agent());
$_ENV[NAME] = 'env/1';
same("$plain env/1", $agent());
same("$plain own/1", $agent(['user_agent_suffix' => 'own/1']));
same("$plain env/1", $agent(['user_agent_suffix' => null]));

// A blank one is none, and what is no text is left alone.
$_ENV[NAME] = "  ";
same("$plain server/1", $agent());
$_ENV[NAME] = ['x'];
same("$plain server/1", $agent());
$suffix = 'reference/1';
$_ENV[NAME] = &$suffix;
same("$plain reference/1", $agent());
$kept = [$_ENV, $_SERVER];
unset($_ENV, $_SERVER);
same("$plain process/1", $agent());
$_ENV = 7;
$_SERVER = null;
same("$plain process/1", $agent());
[$_ENV, $_SERVER] = $kept;
$_ENV[NAME] = "\xff";
holds(str_contains(thrown($agent)->getMessage(), 'not UTF-8'), 'bytes');
$_ENV[NAME] = '';
unset($_SERVER[NAME]);
putenv(NAME);

[, $seen] = run('
    require "' . __DIR__ . '/sandbox.inc";
    $_ENV["' . NAME . '"] = "env/1";
    $agent = fn (array $options = []) => (new Pay88\TokenManager(options: $options))->request("GET", "/api/echo")->json()["data"]["headers"]["user-agent"];
    echo $agent(), "|", $agent(["user_agent_suffix" => "own/1"]);
', ['-d', 'pay88.user_agent_suffix=ini/1']);
same("$plain ini/1|$plain own/1", $seen);

// A variable of nearly an option's name was meant for it.
$_ENV['EIGHTY_EIGHT_PAY_CONECT_TIMEOUT'] = '5';
holds(str_contains(thrown(fn () => new TokenManager)->getMessage(), 'CONECT_TIMEOUT'));
new TokenManager(options: ['connect_timeout' => 1]);
unset($_ENV['EIGHTY_EIGHT_PAY_CONECT_TIMEOUT']);

// Only certificates that $_ENV names are trusted, as in the process's environment.
$_ENV['EIGHTY_EIGHT_PAY_CA_BUNDLE'] = '/nowhere.pem';
if (str_starts_with(getenv('EIGHTY_EIGHT_PAY_BASE_URL'), 'https:')) {
    holds(str_contains(thrown(fn () => new TokenManager(Sandbox::newKey()))->getMessage(), '/nowhere.pem'));
}
unset($_ENV['EIGHTY_EIGHT_PAY_CA_BUNDLE']);

// A number is taken for one, whoever puts it there.
$_ENV['EIGHTY_EIGHT_PAY_TIMEOUT'] = -5;
new TokenManager;
$_ENV['EIGHTY_EIGHT_PAY_SAFETY_MARGIN'] = -5.5;
holds(str_contains(thrown(fn () => new TokenManager)->getMessage(), '-5.5'));
unset($_ENV['EIGHTY_EIGHT_PAY_TIMEOUT'], $_ENV['EIGHTY_EIGHT_PAY_SAFETY_MARGIN']);

// Numbers, with all their digits.
same(1, (new TokenManager(Sandbox::newKey(), options: ['timeout' => 1.5, 'tokens_per_hour' => 90, 'safety_margin' => '12']))->stats()['manager_id'] > 0 ? 1 : 0);
ini_set('precision', '2');
ini_set('serialize_precision', '2');
holds(str_contains(thrown(fn () => new TokenManager(options: ['safety_margin' => 1.23456789]))->getMessage(), '1.23456789'));
same('{"amount":1234567.89}', (new TokenManager)->request('POST', '/api/echo', ['json' => ['amount' => 1234567.89]])->json()['data']['body']);
same('2', ini_get('serialize_precision'));
same('{"a":1.2e+3}', json_encode(['a' => 1234.5]));
final class Late implements JsonSerializable
{
    public function __construct(private Closure $run) {}
    public function jsonSerialize(): mixed { return ($this->run)(); }
}
$send = fn (Closure $run) => (new TokenManager)->request('POST', '/api/echo', ['json' => [new Late($run), 1234.5]])->json()['data']['body'];
thrown(fn () => $send(fn () => throw new DomainException), DomainException::class);
same('{"a":1.2e+3}', json_encode(['a' => 1234.5]));
(new Fiber(fn () => thrown(fn () => $send(fn () => Fiber::suspend()), FiberError::class)))->start();
same('{"a":1.2e+3}', json_encode(['a' => 1234.5]));
foreach (['2', '-1'] as $precision) {
    ini_set('serialize_precision', $precision);
    $error = thrown(fn () => $send(function () { ini_set('serialize_precision', '3'); return 1; }));
    same('The option json cannot be sent as JSON: the setting serialize_precision was made less than 17 meanwhile.', $error->getMessage());
}
same('{"a":1.23e+3}', json_encode(['a' => 1234.5]));
ini_set('serialize_precision', '-1');

// A NUL ends no value of php.ini: another key, or another time, than the one that is written there is not used.
foreach (['api_key' => 'sk_test_sandbox_0123456789', 'merchant_id' => 'MCH-COL-TEST-12345', 'timeout' => '5', 'share' => 'process'] as $name => $value) {
    file_put_contents($ini = tempnam(sys_get_temp_dir(), 'pay88'), "pay88.$name=\"$value\0x\"\n");
    [, $said] = run('try { new Pay88\TokenManager; } catch (Pay88\Exception\ConfigInvalidException $e) { echo $e->getMessage(); }', ['-c', $ini]);
    unlink($ini);
    holds(str_contains($said, $name), "$name in $said");
}

// What cannot be used.
foreach (['timout' => 1, 'timeout' => true, 'share' => ['host'], 'proxy' => new stdClass, 'safety_margin' => NAN, 'user_agent_suffix' => "\xff"] as $name => $value) {
    $error = thrown(fn () => new TokenManager(options: [$name => $value]));
    holds(str_contains($error->getMessage(), $name), $error->getMessage());
    same('not_sent', $error->outcome());
}
same('An option has a number instead of a name.', thrown(fn () => new TokenManager(options: ['timeout=3']))->getMessage());
same('The api_key is given twice, also as an option.', thrown(fn () => new TokenManager('sk_test_a', options: ['api_key' => 'sk_test_b']))->getMessage());
same((new TokenManager)->managerId(), (new TokenManager(options: ['api_key' => Sandbox::$key]))->managerId());
same((new TokenManager)->managerId(), (new TokenManager(Sandbox::$key, null, false, ['api_key' => null]))->managerId());

// Who has given nothing is told where it can be given.
[, $said] = run('
    $_SERVER["HTTP_EIGHTY_EIGHT_PAY_API_KEY"] = "sk_test_of_a_client";
    try { new Pay88\TokenManager; } catch (Pay88\Exception\ConfigInvalidException $e) { echo $e->getMessage(), "\n", $e->hint(); }
', [], ['EIGHTY_EIGHT_PAY_API_KEY' => null]);
holds(str_starts_with($said, "The api_key is missing.\n"), $said);
foreach (['EIGHTY_EIGHT_PAY_API_KEY', 'pay88.api_key', 'clear_env', 'env[', 'php_admin_value'] as $place) {
    holds(str_contains($said, $place), "$place in $said");
}
echo "done\n";
?>
--EXPECT--
done
