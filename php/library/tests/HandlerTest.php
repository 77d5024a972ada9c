<?php

declare(strict_types=1);

namespace Pay88\Tests;

use GuzzleHttp\Client;
use GuzzleHttp\Exception\ClientException;
use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Exception\InvalidArgumentException;
use GuzzleHttp\Exception\RequestException as GuzzleRequestException;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Middleware as GuzzleMiddleware;
use GuzzleHttp\Pool;
use GuzzleHttp\Psr7\HttpFactory;
use GuzzleHttp\Psr7\NoSeekStream;
use GuzzleHttp\Psr7\PumpStream;
use GuzzleHttp\Psr7\Request;
use GuzzleHttp\Psr7\Utils;
use GuzzleHttp\TransferStats;
use Nyholm\Psr7\Factory\Psr17Factory;
use Pay88\Exception\Pay88Exception;
use Pay88\Http\Handler;
use Pay88\Http\NetworkException;
use Pay88\Http\RequestException;
use Pay88\TokenManager;
use Psr\Http\Client\NetworkExceptionInterface;
use Psr\Http\Client\RequestExceptionInterface;
use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\ResponseInterface;

final class HandlerTest extends SandboxTestCase
{
    private function client(?TokenManager $manager = null, array $config = []): Client
    {
        $handler = new Handler($manager ?? $this->manager);
        return new Client(['handler' => HandlerStack::create($handler), 'base_uri' => $this->manager->baseUrl()] + $config);
    }

    public static function factories(): array
    {
        return ['Guzzle' => [new HttpFactory()], 'Nyholm' => [new Psr17Factory()]];
    }

    /** @dataProvider factories */
    public function testAClientOfPsr18MakesACharge(HttpFactory|Psr17Factory $factory): void
    {
        $request = $factory->createRequest('POST', $this->manager->baseUrl() . self::CHARGES)
            ->withHeader('Content-Type', 'application/json')
            ->withHeader('X-Order', ['7', '8'])
            ->withBody($factory->createStream(json_encode(self::CHARGE)))
            ->withHeader('Content-Length', '1');
        $client = new Handler($this->manager, $factory, $factory);

        $seen = self::seen(function () use ($client, $request, $factory, &$response) {
            $response = $client->sendRequest($request);
        });

        self::assertSame(200, $response->getStatusCode());
        self::assertInstanceOf(get_class($factory->createResponse()), $response);
        self::assertSame('application/json', $response->getHeaderLine('Content-Type'));
        self::assertArrayHasKey('reference', json_decode((string) $response->getBody(), true)['data']);
        self::assertCount(1, $seen['calls']);
        self::assertSame(1, $seen['tokens']);
        self::assertSame(2, count(array_keys($seen['calls'][0]['headers'], 'x-order', true)));
    }

    public function testGuzzleMakesCharges(): void
    {
        $client = $this->client();
        $seen = self::seen(function () use ($client) {
            for ($time = 0; $time < 3; $time++) {
                $response = $client->post(self::CHARGES, ['json' => self::CHARGE]);
                self::assertSame(200, $response->getStatusCode());
                self::assertArrayHasKey('reference', json_decode((string) $response->getBody(), true)['data']);
            }
        });
        self::assertSame([3, 1], [count($seen['calls']), $seen['tokens']]);
    }

    public function testACallMayNameThePathAlone(): void
    {
        $client = new Client(['handler' => new Handler($this->manager)]);
        self::assertSame(200, $client->get('/api/echo?a=%20b')->getStatusCode());
    }

    public function testWhatLeadsElsewhereIsNotCalled(): void
    {
        $base = $this->manager->baseUrl();
        $elsewhere = [
            'https://api.88pay.io/api/echo',
            str_replace('https:', 'http:', $base) . '/api/echo',
            preg_replace('/:\d+$/', '', $base) . '/api/echo',
            preg_replace('/:\d+$/', ':1', $base) . '/api/echo',
            substr($base, 0, -1) . '/api/echo',
            str_replace('://', '://user:password@', $base) . '/api/echo',
            "$base/../api/auth/token",
            "$base/api/auth/token",
            str_replace('localhost', 'localhost.evil.example', $base) . '/api/echo',
        ];
        $seen = self::seen(function () use ($elsewhere) {
            foreach ($elsewhere as $url) {
                $request = new Request('GET', $url);
                $thrown = self::caught(fn () => (new Handler($this->manager))->sendRequest($request));
                self::assertInstanceOf(RequestException::class, $thrown, $url);
                self::assertSame(['refused', 'not_sent'], [$thrown->pay88()->errorCode(), $thrown->outcome()], $url);
                $thrown = self::caught(fn () => $this->client()->send($request));
                self::assertInstanceOf(GuzzleRequestException::class, $thrown, $url);
                self::assertSame(['refused', 'not_sent'], [$thrown->getPrevious()->errorCode(), $thrown->getPrevious()->outcome()], $url);
            }
        });
        self::assertSame(['calls' => [], 'tokens' => 0], $seen);
    }

    public function testWhatWasNotSentIsAFaultOfTheNetwork(): void
    {
        $manager = new TokenManager(baseUrl: self::closedPort(), options: ['share' => 'process']);
        $request = new Request('POST', self::CHARGES, body: json_encode(self::CHARGE));

        $thrown = self::caught(fn () => (new Handler($manager))->sendRequest($request));
        self::assertInstanceOf(NetworkException::class, $thrown);
        self::assertInstanceOf(NetworkExceptionInterface::class, $thrown);
        self::assertSame($request, $thrown->getRequest());
        self::assertSame($thrown->pay88(), $thrown->getPrevious());
        self::assertSame(['connection_failed', 'not_sent'], [$thrown->pay88()->errorCode(), $thrown->outcome()]);

        $client = new Client(['handler' => HandlerStack::create(new Handler($manager))]);
        $thrown = self::caught(fn () => $client->send($request));
        self::assertInstanceOf(ConnectException::class, $thrown);
        self::assertSame('connection_failed', $thrown->getPrevious()->errorCode());
        self::assertSame(['connection_failed', 'not_sent'], [$thrown->getHandlerContext()['code'], $thrown->getHandlerContext()['outcome']]);
    }

    public static function doubtful(): array
    {
        return [
            'the connection is cut when the request was read' => ['cut_after_request', 'connection_failed'],
            'the connection is cut before the answer' => ['cut_before_answer', 'connection_failed'],
            'the answer is cut' => ['cut_in_body', 'bad_response'],
            'no answer comes' => ['stall', 'timeout'],
        ];
    }

    /** @dataProvider doubtful */
    public function testACallThatMayHaveArrivedIsNoFaultOfTheNetworkAndIsNotRepeated(string $fault, string $code): void
    {
        $manager = $this->manager(['timeout' => 2]);
        $manager->getToken();
        $repeating = HandlerStack::create(new Handler($manager));
        // As programs have it: whatever is a fault of the connection is tried again.
        $repeating->push(GuzzleMiddleware::retry(
            static fn (int $tries, RequestInterface $request, ?ResponseInterface $response, mixed $reason) =>
                $tries < 3 && $reason instanceof ConnectException,
            static fn () => 1
        ));
        $guzzle = new Client(['handler' => $repeating]);

        $seen = self::seen(function () use ($guzzle, $manager, $fault, $code) {
            self::fault('calls', $fault);
            $thrown = self::caught(fn () => $guzzle->post(self::CHARGES, ['json' => self::CHARGE]));
            self::assertSame(GuzzleRequestException::class, get_class($thrown));
            self::assertInstanceOf(Pay88Exception::class, $thrown->getPrevious());
            self::assertSame([$code, 'unknown'], [$thrown->getPrevious()->errorCode(), $thrown->getPrevious()->outcome()]);
            self::assertSame('unknown', $thrown->getHandlerContext()['outcome']);

            self::fault('calls', $fault);
            $request = new Request('POST', self::CHARGES, [], json_encode(self::CHARGE));
            $thrown = self::caught(fn () => (new Handler($manager))->sendRequest($request));
            self::assertInstanceOf(RequestExceptionInterface::class, $thrown);
            self::assertNotInstanceOf(NetworkExceptionInterface::class, $thrown);
            self::assertSame([$code, 'unknown'], [$thrown->pay88()->errorCode(), $thrown->outcome()]);
        });
        self::assertCount(2, $seen['calls']);
    }

    public function testAMiddlewareThatRepeatsWhatWasNotSentWaitsAsItSays(): void
    {
        $stack = HandlerStack::create(new Handler($this->manager));
        $stack->push(GuzzleMiddleware::retry(
            static fn (int $tries, RequestInterface $request, ?ResponseInterface $response) =>
                $tries < 1 && $response?->getStatusCode() === 404,
            static fn () => 300
        ));
        $begun = microtime(true);
        $seen = self::seen(fn () => (new Client(['handler' => $stack]))->get('/api/none', ['http_errors' => false]));
        self::assertCount(2, $seen['calls']);
        self::assertGreaterThan(0.3, microtime(true) - $begun);
    }

    public function testGuzzlesOptionsOfACallHold(): void
    {
        $this->manager->getToken();
        self::fault('calls', 'stall');
        $begun = microtime(true);
        $thrown = self::caught(fn () => $this->client()->get('/api/echo', ['timeout' => 0.5]));
        self::assertSame('timeout', $thrown->getPrevious()->errorCode());
        self::assertLessThan(5, microtime(true) - $begun);

        self::fault('calls', 'cut_after_request');
        $response = $this->client()->post('/api/echo', ['json' => [1], 'safe_to_repeat' => true]);
        self::assertSame(200, $response->getStatusCode());

        $stats = [];
        $record = static function (TransferStats $one) use (&$stats) {
            $stats[] = [$one->getResponse()?->getStatusCode(), $one->getTransferTime() > 0, $one->getHandlerErrorData() !== null];
        };
        $this->client()->get('/api/echo', ['on_stats' => $record]);
        self::fault('calls', 'cut_after_request');
        self::caught(fn () => $this->client()->post(self::CHARGES, ['json' => self::CHARGE, 'on_stats' => $record]));
        self::assertSame([[200, true, false], [null, true, true]], $stats);
    }

    public function testErrorsOfStatusAreGuzzlesOwn(): void
    {
        $thrown = self::caught(fn () => $this->client()->get('/api/none'));
        self::assertInstanceOf(ClientException::class, $thrown);
        self::assertSame(404, $thrown->getResponse()->getStatusCode());
        $response = (new Handler($this->manager))->sendRequest(new Request('GET', '/api/none'));
        self::assertSame(404, $response->getStatusCode());
    }

    public function testErrorsOfTheTokenAreToldWithTheirReason(): void
    {
        $manager = $this->manager(['api_key' => 'sk_test_sandbox_unknown_' . bin2hex(random_bytes(8))]);
        $thrown = self::caught(fn () => $this->client($manager)->post(self::CHARGES, ['json' => self::CHARGE]));
        self::assertSame(GuzzleRequestException::class, get_class($thrown));
        self::assertSame(['credentials_rejected', 'not_sent', 401], [
            $thrown->getPrevious()->errorCode(), $thrown->getPrevious()->outcome(), $thrown->getHandlerContext()['http_status'],
        ]);
    }

    public function testARedirectIsNotFollowedAndWasAnswered(): void
    {
        $this->manager->getToken();
        foreach (['https://evil.example/api/echo', $this->manager->baseUrl() . '/api/echo', '/api/echo'] as $location) {
            foreach ([302, 307] as $status) {
                $answer = ['answer' => ['status' => $status, 'headers' => [['Location', $location]]]];
                self::fault('calls', $answer);
                $seen = self::seen(function () {
                    $thrown = self::caught(fn () => $this->client()->post(self::CHARGES, ['json' => self::CHARGE]));
                    self::assertSame(['refused', 'answered'], [$thrown->getPrevious()->errorCode(), $thrown->getPrevious()->outcome()]);
                });
                self::assertCount(1, $seen['calls']);
                self::fault('calls', $answer);
                $response = $this->client()->post(self::CHARGES, ['json' => self::CHARGE, 'allow_redirects' => false]);
                self::assertSame([$status, $location], [$response->getStatusCode(), $response->getHeaderLine('Location')]);
            }
        }
    }

    public function testOptionsThatCannotHoldAreRefused(): void
    {
        $refused = [
            ['verify' => false], ['verify' => '/ca.pem'], ['proxy' => 'http://127.0.0.1:1'], ['auth' => ['user', 'password', 'digest']],
            ['cert' => '/cert.pem'], ['ssl_key' => '/key.pem'], ['curl' => [CURLOPT_SSL_VERIFYPEER => false]], ['debug' => true],
            ['sink' => '/dev/null'], ['stream_context' => []], ['force_ip_resolve' => 'v4'], ['on_headers' => 'strlen'],
            ['progress' => 'strlen'],
        ];
        $seen = self::seen(function () use ($refused) {
            foreach ($refused as $option) {
                $thrown = self::caught(fn () => $this->client()->get('/api/echo', $option));
                self::assertInstanceOf(InvalidArgumentException::class, $thrown);
                self::assertStringContainsString((string) key($option) === 'verify' ? 'ca_bundle' : key($option), $thrown->getMessage());
            }
            $thrown = self::caught(fn () => $this->client()->get('/api/echo', ['auth' => ['user', 'password']]));
            self::assertInstanceOf(InvalidArgumentException::class, $thrown);
            foreach (['Authorization', 'X-Session-ID'] as $header) {
                $thrown = self::caught(fn () => $this->client()->get('/api/echo', ['headers' => [$header => 'mine']]));
                self::assertSame('refused', $thrown->getPrevious()->errorCode());
            }
        });
        self::assertSame(['calls' => [], 'tokens' => 0], $seen);
    }

    public function testAProxyThatGuzzleReadsFromTheEnvironmentIsPay88sToo(): void
    {
        putenv('HTTPS_PROXY=http://127.0.0.1:1');
        putenv('NO_PROXY=localhost, .example');
        try {
            self::assertSame(200, $this->client()->get('/api/echo')->getStatusCode());
        } finally {
            putenv('HTTPS_PROXY');
            putenv('NO_PROXY');
        }
    }

    public function testBodiesOfAnySizeAndKindAreSent(): void
    {
        $text = '"' . str_repeat('0123456789abcdef', 131072) . '"';
        $parts = str_split($text, 100000);
        // Of unknown size, for which Guzzle sets Transfer-Encoding.
        $pump = new PumpStream(static function () use (&$parts) {
            return array_shift($parts) ?? false;
        });
        foreach ([Utils::streamFor($text), new NoSeekStream(Utils::streamFor($text)), $pump, $text] as $body) {
            $response = $this->client()->put('/api/echo', ['body' => $body, 'headers' => ['Content-Type' => 'application/json']]);
            self::assertSame(200, $response->getStatusCode());
            self::assertSame($text, json_decode((string) $response->getBody(), true)['data']['body']);
        }
    }

    public function testABodyThatIsNotWholeIsNotSent(): void
    {
        $read = new NoSeekStream(Utils::streamFor(json_encode(self::CHARGE)));
        $read->read(5);
        $detached = Utils::streamFor('{}');
        $detached->detach();
        $throwing = new PumpStream(static fn () => throw new \RuntimeException('of the program'));
        $writeOnly = Utils::streamFor(fopen('/dev/null', 'w'));
        $seen = self::seen(function () use ($read, $detached, $throwing, $writeOnly) {
            foreach ([$read, $detached, $throwing, $writeOnly] as $body) {
                $request = new Request('POST', self::CHARGES, [], $body);
                $thrown = self::caught(fn () => (new Handler($this->manager))->sendRequest($request));
                self::assertInstanceOf(RequestException::class, $thrown);
                self::assertSame('not_sent', $thrown->outcome());
                $promise = (new Handler($this->manager))($request, []);
                self::assertSame('not_sent', self::caught(fn () => $promise->wait())->getPrevious()->outcome());
            }
        });
        self::assertSame(['calls' => [], 'tokens' => 0], $seen);

        $request = new Request('POST', self::CHARGES, [], new NoSeekStream(Utils::streamFor(json_encode(self::CHARGE))));
        $client = new Handler($this->manager);
        self::assertSame(200, $client->sendRequest($request)->getStatusCode());
        self::assertSame('not_sent', self::caught(fn () => $client->sendRequest($request))->outcome());
    }

    public function testAnAnswerThatCameIsNeverLost(): void
    {
        $this->manager->getToken();
        foreach ([new HttpFactory(), new Psr17Factory()] as $factory) {
            self::fault('calls', ['answer' => ['status' => 200, 'headers' => [['123', 'x']]]]);
            $response = (new Handler($this->manager, $factory, $factory))->sendRequest(new Request('GET', '/api/echo'));
            self::assertSame('x', $response->getHeaderLine('123'));
        }
        $failing = $this->createMock(\Psr\Http\Message\StreamFactoryInterface::class);
        $failing->method('createStream')->willThrowException(new \DomainException('of the program'));
        $client = new Handler($this->manager, null, $failing);
        $request = new Request('POST', self::CHARGES, [], json_encode(self::CHARGE));
        $thrown = self::caught(fn () => $client->sendRequest($request));
        self::assertInstanceOf(RequestException::class, $thrown);
        self::assertSame('answered', $thrown->outcome());
        self::assertSame(200, $thrown->pay88()->response()->status());
        self::assertInstanceOf(\DomainException::class, $thrown->pay88()->getPrevious());
        self::assertSame('answered', self::caught(fn () => $client($request, [])->wait())->getHandlerContext()['outcome']);
    }

    public function testOptionsAsGuzzleTakesThem(): void
    {
        self::fault('calls', ['coded' => ['coding' => 'gzip']]);
        $response = $this->client()->get('/api/echo', ['decode_content' => 'gzip']);
        self::assertIsArray(json_decode((string) $response->getBody(), true));
        foreach (['5', INF, 7200] as $timeout) {
            self::assertSame(200, $this->client()->get('/api/echo', ['timeout' => $timeout])->getStatusCode());
        }
    }

    public function testManyCallsAtOnceAreMadeOneAfterTheOther(): void
    {
        $statuses = [];
        $requests = array_fill(0, 30, new Request('GET', '/api/echo'));
        $pool = new Pool($this->client(), $requests, ['fulfilled' => function (ResponseInterface $response) use (&$statuses) {
            $statuses[] = $response->getStatusCode();
        }]);
        $seen = self::seen(fn () => $pool->promise()->wait());
        self::assertSame(array_fill(0, 30, 200), $statuses);
        self::assertSame([30, 1], [count($seen['calls']), $seen['tokens']]);
    }
}
