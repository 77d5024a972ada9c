--TEST--
Errors: a class for each code, what happened, what to do, whether it was sent and when to come back; programs can make them
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

use Pay88\Exception;
use Pay88\TokenManager;

$wrong = thrown(fn () => (new TokenManager('sk_test_sandbox_of_nobody'))->getToken(), Exception\CredentialsRejectedException::class);
same(['credentials_rejected', 'not_sent', 401, false], [$wrong->errorCode(), $wrong->outcome(), $wrong->httpStatus(), $wrong->retryable()]);
same([201, null], [$wrong->getCode(), $wrong->response()]);
holds($wrong->attempt() === 1 && $wrong->hint() !== '' && $wrong->getMessage() !== '');
holds($wrong instanceof Exception\Pay88Exception && $wrong instanceof RuntimeException);
same([__FILE__, 8], [$wrong->getFile(), $wrong->getLine()]);

$answer = fn (int $status, array $headers = []) => ['answer' => ['status' => $status, 'headers' => $headers]];
Sandbox::fault('token', $answer(403));
thrown(fn () => (new TokenManager(Sandbox::newKey()))->getToken(), Exception\AccessDeniedException::class);
Sandbox::fault('token', $answer(429, [['Retry-After', '7']]));
$limited = thrown(fn () => (new TokenManager(Sandbox::newKey()))->getToken(), Exception\RateLimitedException::class);
holds($limited->retryAfter() > 5 && $limited->retryAfter() <= 7 && $limited->retryable());
Sandbox::fault('token', ['answer' => ['status' => 200, 'body' => 'nonsense']]);
thrown(fn () => (new TokenManager(Sandbox::newKey()))->getToken(), Exception\BadResponseException::class);

$tm = new TokenManager(Sandbox::newKey());
$charge = fn () => $tm->makeRequest(CHARGES, 'POST', CHARGE);
Sandbox::fault('calls', 'cut_before_answer');
$cut = thrown($charge, Exception\ConnectionFailedException::class);
same(['unknown', false, null, null], [$cut->outcome(), $cut->retryable(), $cut->httpStatus(), $cut->retryAfter()]);
same(1, Sandbox::charges());
Sandbox::fault('calls', 'stall');
$late = thrown(fn () => $tm->request('POST', CHARGES, ['json' => CHARGE, 'timeout' => 5]), Exception\TimeoutException::class);
same('unknown', $late->outcome());
$closed = fn (TokenManager $tm) => $tm->request('POST', CHARGES, ['json' => CHARGE]);
$unreachable = new TokenManager(Sandbox::$key, baseUrl: 'https://localhost:1');
same('not_sent', thrown(fn () => $closed($unreachable), Exception\ConnectionFailedException::class)->outcome());
if (str_starts_with(getenv('EIGHTY_EIGHT_PAY_BASE_URL'), 'https:')) {
    $system = new TokenManager(options: ['ca_bundle' => '/etc/ssl/certs/ca-certificates.crt', 'share' => 'process', 'api_key' => Sandbox::newKey()]);
    same('not_sent', thrown(fn () => $closed($system), Exception\TlsFailedException::class)->outcome());
}
$refused = thrown(fn () => $tm->request('GET', '//evil.example/'), Exception\RefusedException::class);
same(['not_sent', 102], [$refused->outcome(), $refused->getCode()]);
thrown(fn () => $tm->request('GET', '/api/x', ['headers' => ['Authorization' => 'Bearer x']]), Exception\RefusedException::class);

// Made by a program: what is not given is what such an error has most often.
$made = new Exception\RateLimitedException('Later.', retryAfter: 60);
same(['Later.', 203, 'rate_limited', 'not_sent', 60.0, true, '', null, null, null], [$made->getMessage(), $made->getCode(), $made->errorCode(),
    $made->outcome(), $made->retryAfter(), $made->retryable(), $made->hint(), $made->httpStatus(), $made->attempt(), $made->response()]);
$cause = new \Exception('why');
$made = new Exception\TimeoutException('Late.', 7, $cause, hint: 'Wait.', outcome: 'not_sent', httpStatus: 504, retryable: false, attempt: 3);
same([7, $cause, 'Wait.', 'not_sent', 504, false, 3], [$made->getCode(), $made->getPrevious(), $made->hint(), $made->outcome(),
    $made->httpStatus(), $made->retryable(), $made->attempt()]);
same(true, (new Exception\TimeoutException(outcome: 'not_sent'))->retryable());
same(false, (new Exception\TimeoutException())->retryable());
same(false, (new Exception\TimeoutException(outcome: "not_sent\0x"))->retryable());
same('internal', (new Exception\Pay88Exception('x'))->errorCode());
final class Own extends Exception\RefusedException {}
same(['refused', 'not_sent', 102], [($own = new Own('x'))->errorCode(), $own->outcome(), $own->getCode()]);
$answer = $tm->request('GET', '/api/nothing');
same([404, $answer], [($made = new Exception\HttpException('x', response: $answer))->httpStatus(), $made->response()]);
thrown(fn () => new Exception\HttpException('x', response: new stdClass), TypeError::class);
// A framework may keep them, as a queue does.
$kept = unserialize(serialize(new Exception\RateLimitedException('Later.', retryAfter: 60)));
same(['Later.', 60.0], [$kept->getMessage(), $kept->retryAfter()]);
echo "done\n";
?>
--EXPECT--
done
