--TEST--
Calls: what is passed is what is sent, and the answer is what came
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

use Pay88\TokenManager;

enum Order: string
{
    case Newest = 'newest first';
}

$tm = new TokenManager();
$echo = fn (string $method, string $endpoint, array $options = []) => $tm->request($method, $endpoint, $options)->json()['data'];

$seen = $echo('GET', '/api/echo', ['params' => [
    'text' => 'a&b c', 'int' => 7, 'float' => 0.1, 'whole' => 10.0, 'yes' => true, 'no' => false, 'none' => null, 'list' => ['x', 1],
    'order' => Order::Newest, 5 => 'five', 'é' => 'ü',
]]);
same('/api/echo?text=a%26b+c&int=7&float=0.1&whole=10&yes=true&no=false&list=x&list=1&order=newest+first&5=five&%C3%A9=%C3%BC',
    str_replace('%20', '+', $seen['target']));
same('GET', $seen['method']);
holds(!isset($seen['headers']['content-type']), 'no body, no type');

$seen = $echo('PUT', '/api/echo', ['headers' => ['X-One' => 'a', 'X-Two' => ['b', 'c']], 'body' => "any \0 bytes \xff"]);
same('a', $seen['headers']['x-one']);
same(['application/json', 'b, c', '13'], [$seen['headers']['content-type'], $seen['headers']['x-two'], $seen['headers']['content-length']]);

$seen = $echo('POST', '/api/echo', ['json' => ['amount' => 10.5, 'name' => 'Ñandú', 'list' => [], 'map' => new stdClass]]);
same(['amount' => 10.5, 'name' => 'Ñandú', 'list' => [], 'map' => []], json_decode($seen['body'], true));
same('"text"', $echo('POST', '/api/echo', ['json' => 'text'])['body']);
same('null', $echo('POST', '/api/echo', ['json' => null])['body']);
same('', $echo('POST', '/api/echo', ['body' => null, 'headers' => null, 'params' => null, 'timeout' => null])['body']);
$typed = ['body' => '{}', 'headers' => ['content-type' => 'application/json; charset=utf-8']];
same('application/json; charset=utf-8', $echo('POST', '/api/echo', $typed)['headers']['content-type']);

same('a, b', $echo('GET', '/api/echo', ['headers' => ['123' => ['a', 'b']]])['headers']['123']);

// References are what they refer to.
$amount = 7;
$options = ['params' => ['a' => &$amount], 'headers' => ['X-Ref' => &$header]];
$header = 'yes';
$seen = $echo('GET', '/api/echo', $options);
same('/api/echo?a=7', $seen['target']);
same('yes', $seen['headers']['x-ref']);

$response = $tm->request('POST', CHARGES, ['json' => CHARGE, 'timeout' => 20, 'safe_to_repeat' => false]);
same(200, $response->status());
same(true, $response->ok());
same($response, $response->raiseForStatus());
same(['application/json'], $response->headers()['content-type']);
same('application/json', $response->header('Content-TYPE'));
same(null, $response->header('x-nothing'));
same(json_decode($response->body(), true), $response->json());
same($response->body(), $response->body());
holds($response->json(0) instanceof stdClass);
holds($response->json(JSON_OBJECT_AS_ARRAY | JSON_THROW_ON_ERROR) === $response->json());

// Headers of one name stand together.
Sandbox::fault('calls', ['head_lines' => ['lines' => ['X-Shop: a', 'x-other: 1', 'x-SHOP: b']]]);
$response = $tm->request('GET', '/api/echo');
same(['a', 'b'], $response->headers()['x-shop']);
same('a, b', $response->header('X-Shop'));

// A body of any size, and one that is no JSON.
same(3000000, strlen($tm->request('GET', '/api/bytes/3000000')->body()));
$empty = $tm->request('GET', '/api/bytes/0');
same('', $empty->body());
$none = thrown(fn () => $empty->json(), Pay88\Exception\BadResponseException::class);
same([200, 'answered', false, true], [$none->httpStatus(), $none->outcome(), $none->retryable(), $none->response() === $empty]);
Sandbox::fault('calls', ['answer' => ['status' => 502, 'body' => '<html>']]);
$none = thrown(fn () => $tm->makeRequest(CHARGES, 'POST', CHARGE), Pay88\Exception\BadResponseException::class);
same(502, $none->httpStatus());
same('<html>', $none->response()->body());
same('88Pay answered with status 502, and the body is no JSON: its syntax is wrong.', $none->getMessage());

// An answer that says no is thrown where that is asked for.
$response = $tm->request('POST', CHARGES, ['json' => ['flow' => 'x']]);
same(400, $response->status());
same(false, $response->ok());
$no = thrown(fn () => $response->raiseForStatus(), Pay88\Exception\HttpException::class);
same(['http_error', 'answered', 400, true], [$no->errorCode(), $no->outcome(), $no->httpStatus(), $no->response() === $response]);
holds(str_contains($no->getMessage(), 'PAYIN'));

// The program's own json_last_error() stays.
json_decode('{');
$tm->request('POST', '/api/echo', ['json' => [1]])->json();
same(JSON_ERROR_SYNTAX, json_last_error());
try { $empty->json(); } catch (Pay88\Exception\BadResponseException) {}
same(JSON_ERROR_SYNTAX, json_last_error());
same(1, Sandbox::tokensIssued());
echo "done\n";
?>
--EXPECT--
done
