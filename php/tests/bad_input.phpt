--TEST--
Bad input is a typed exception, and nothing is sent: types, NULs, bytes that are no UTF-8, recursion, resources, numbers that are none
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

use Pay88\Response;
use Pay88\TokenManager;

$tm = new TokenManager();

// JSON that PHP would send something else for, or nothing.
$recursive = ['a' => 1];
$recursive['self'] = &$recursive;
$circle = new stdClass;
$circle->self = $circle;
$deep = [];
for ($i = 0; $i < 600; $i++) {
    $deep = [$deep];
}
enum Plain { case One; }
$unencodable = [
    'a number in it is infinite or not a number' => [['amount' => NAN], ['amount' => INF], [1, [-INF]]],
    'something in it contains itself' => [$recursive, $circle],
    'a text in it is not UTF-8' => [['name' => "\xff"], ["\xff" => 1]],
    'it is nested too deeply' => [$deep],
    'there is a value in it that JSON has not, such as a resource' => [['file' => fopen('php://memory', 'r')]],
];
foreach ($unencodable as $reason => $values) {
    foreach ($values as $value) {
        same("The option json cannot be sent as JSON: $reason.", thrown(fn () => $tm->request('POST', CHARGES, ['json' => $value]))->getMessage());
        same("The body cannot be sent as JSON: $reason.", thrown(fn () => $tm->makeRequest(CHARGES, 'POST', $value))->getMessage());
    }
}
thrown(fn () => $tm->makeRequest(CHARGES, 'POST', [Plain::One]));
same(JSON_ERROR_NONE, json_last_error());

// What a program throws while it is asked for its JSON is its own.
final class Throwing implements JsonSerializable
{
    public function jsonSerialize(): mixed { throw new DomainException('mine'); }
}
same('mine', thrown(fn () => $tm->makeRequest(CHARGES, 'POST', new Throwing), DomainException::class)->getMessage());
same('mine', thrown(fn () => $tm->request('POST', CHARGES, ['json' => ['x' => new Throwing]]), DomainException::class)->getMessage());

// What it does to the array that it is in is its own affair.
final class Vanishing implements JsonSerializable
{
    public function jsonSerialize(): mixed
    {
        global $vanishing;
        $vanishing = null;
        return ['gone' => str_repeat('x', 1000)];
    }
}
$vanishing = new Vanishing;
same(1011, strlen($tm->request('POST', '/api/echo', ['json' => &$vanishing])->json()['data']['body']));
same(null, $vanishing);

// Types.
foreach (['text', 7, 1.5, true, fopen('php://memory', 'r')] as $body) {
    thrown(fn () => $tm->makeRequest(CHARGES, 'POST', $body), TypeError::class);
}
thrown(fn () => $tm->makeRequest(), ArgumentCountError::class);
thrown(fn () => $tm->makeRequest([]), TypeError::class);
thrown(fn () => $tm->request('GET'), ArgumentCountError::class);
thrown(fn () => $tm->request('GET', '/api/x', 'options'), TypeError::class);
thrown(fn () => new TokenManager([]), TypeError::class);
thrown(fn () => new TokenManager(new stdClass), TypeError::class);
thrown(fn () => new TokenManager(options: 'timeout=3'), TypeError::class);
thrown(fn () => $tm->rotate(null, null, null), ArgumentCountError::class);

// Options of a call.
$options = [
    ['body' => 7], ['body' => []], ['json' => 1, 'body' => 'x'], ['headers' => 'X: 1'], ['headers' => ['X: 1']], ['headers' => ['X' => 1]],
    ['headers' => ['X' => [null]]], ['headers' => ['X' => [['a']]]], ['params' => 'a=1'], ['params' => ['a' => new stdClass]],
    ['params' => ['a' => [[1]]]], ['params' => ['a' => NAN]], ['params' => ['a' => Plain::One]], ['params' => ['a' => "\xff"]],
    ['timeout' => 0], ['timeout' => -1.5], ['timeout' => NAN], ['timeout' => '5'], ['timeout' => 4000], ['timeout' => true],
    ['safe_to_repeat' => 1], ['safe_to_repeat' => null], ['unknown' => 1], ['verify' => false], ['query' => []], ['' => 1], [7 => 1],
    ['headers' => ['X' => "\xff"]], ["json\0" => 1], ["body\0x" => 'x'], ["safe_to_repeat\0" => true], ["timeout\0" => 1],
];
foreach ($options as $each) {
    $error = thrown(fn () => $tm->request('POST', CHARGES, $each));
    same(['not_sent', false], [$error->outcome(), $error->retryable()]);
}
foreach ([["X\0Y" => 'a'], ['X' => "a\r\nb: c"], ['X' => "a\0b"], ['' => 'a'], ['x-session-id' => 'a']] as $headers) {
    thrown(fn () => $tm->request('POST', CHARGES, ['headers' => $headers]), Pay88\Exception\RefusedException::class);
}
holds(str_contains(thrown(fn () => $tm->request('GET', '/api/x', ['verify' => false]))->hint(), 'always verified'));
holds(str_contains(thrown(fn () => $tm->request('GET', '/api/x', ['jsn' => 1]))->hint(), 'json, body, headers'));

// A name is shown to its end, whatever it holds.
foreach ([
    'request() does not take the option jsn\u{0}x\u{a}.' => ["jsn\0x\n" => 1],
    'The header X\u{0}Y is of type int.' => ['headers' => ["X\0Y" => 7]],
    'The parameter a\u{0}b is of type stdClass.' => ['params' => ["a\0b" => new stdClass]],
    'The parameter a\u{0}b is no number that can be sent.' => ['params' => ["a\0b" => INF]],
] as $message => $each) {
    same($message, thrown(fn () => $tm->request('POST', CHARGES, $each))->getMessage());
}
same('The option time\u{7f}out\u{0}é is of type bool.', thrown(fn () => new TokenManager(options: ["time\x7fout\0é" => true]))->getMessage());
same('There is no option `timeout\u{0}`.', thrown(fn () => new TokenManager(options: ["timeout\0" => 5]))->getMessage());

// Methods and endpoints.
foreach (["GET\0", "G\xff", '', 'GET /'] as $method) {
    holds(thrown(fn () => $tm->request($method, '/api/x'))->outcome() === 'not_sent');
}
foreach (["/api/\0", "/api/\xff", '', 'api/x', 'https://evil.example/'] as $endpoint) {
    try {
        $tm->request('GET', $endpoint);
        echo "not refused\n";
    } catch (Pay88\Exception\RefusedException | Pay88\Exception\ConfigInvalidException $e) {
        same('not_sent', $e->outcome());
    }
}

// Objects that are not as they should be.
thrown(fn () => clone $tm, Error::class);
thrown(fn () => serialize($tm), Exception::class);
thrown(fn () => unserialize('O:18:"Pay88\TokenManager":0:{}'), Exception::class);
thrown(fn () => unserialize('C:18:"Pay88\TokenManager":0:{}'), Exception::class);
thrown(fn () => $tm->property = 1, Error::class);
same('The manager was constructed before.', thrown(fn () => $tm->__construct())->getMessage());
holds(is_array($tm->getToken()));
thrown(fn () => (new ReflectionClass(TokenManager::class))->newInstanceWithoutConstructor(), ReflectionException::class);
thrown(fn () => new Response, Error::class);
thrown(fn () => (new ReflectionClass(Response::class))->newInstanceWithoutConstructor(), ReflectionException::class);
$response = $tm->request('GET', '/api/echo');
thrown(fn () => clone $response, Error::class);
thrown(fn () => serialize($response), Exception::class);
holds((new ReflectionClass(TokenManager::class))->isFinal() && (new ReflectionClass(Response::class))->isFinal());
holds($tm != new TokenManager && $tm == $tm);
[, $output] = run('class Mine extends Pay88\TokenManager {}');
holds(str_contains($output, 'cannot extend final class'), $output);

// A constructor that failed leaves nothing that could be used.
thrown(fn () => new TokenManager('x'));
thrown(fn () => $tm->__construct('x'));
holds(is_array($tm->getToken()));

same(['/api/echo', '/api/echo'], Sandbox::calls());
same(0, Sandbox::charges());
echo "done\n";
?>
--EXPECT--
done
