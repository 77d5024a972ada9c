<?php

declare(strict_types=1);

namespace Pay88\Tests;

use GuzzleHttp\Client;
use GuzzleHttp\Exception\ClientException;
use GuzzleHttp\Exception\InvalidArgumentException;
use GuzzleHttp\Handler\MockHandler;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Middleware as GuzzleMiddleware;
use GuzzleHttp\Pool;
use GuzzleHttp\Psr7\NoSeekStream;
use GuzzleHttp\Psr7\Request;
use GuzzleHttp\Psr7\Response;
use GuzzleHttp\Psr7\Utils;
use GuzzleHttp\TransferStats;
use Pay88\Exception\Pay88Exception;
use Pay88\Http\Middleware;
use Pay88\TokenManager;
use Psr\Http\Message\ResponseInterface;

final class MiddlewareTest extends SandboxTestCase
{
    /** What was sent: requests and answers below the middleware. */
    private array $sent = [];

    private function client(?callable $handler = null, ?TokenManager $manager = null): Client
    {
        $stack = HandlerStack::create($handler);
        $stack->push(new Middleware($manager ?? $this->manager), 'pay88');
        $stack->push(GuzzleMiddleware::history($this->sent));
        return new Client([
            'handler' => $stack,
            'base_uri' => $this->manager->baseUrl(),
            'verify' => getenv('EIGHTY_EIGHT_PAY_CA_BUNDLE'),
            'timeout' => 30,
        ]);
    }

    private function pair(int $number): array
    {
        $request = $this->sent[$number]['request'];
        return [$request->getHeaderLine('Authorization'), $request->getHeaderLine('x-session-id')];
    }

    public function testCurlMakesCharges(): void
    {
        $client = $this->client();
        $seen = self::seen(function () use ($client) {
            for ($time = 0; $time < 3; $time++) {
                self::assertSame(200, $client->post(self::CHARGES, ['json' => self::CHARGE])->getStatusCode());
            }
        });
        self::assertSame([3, 1], [count($seen['calls']), $seen['tokens']]);
    }

    public function testOtherHostsGetNothing(): void
    {
        $base = $this->manager->baseUrl();
        $others = [
            'https://evil.example/', 'https://evil.example/?' . urlencode($base), str_replace('https:', 'http:', $base) . '/api/echo',
            str_replace('localhost', 'localhost.evil.example', $base) . '/', "https://evil.example@" . substr($base, 8) . '/api/echo',
            substr($base, 0, -1) . '/api/echo',
        ];
        $seen = self::seen(function () use ($others) {
            $client = $this->client(new MockHandler(array_fill(0, count($others), new Response())));
            foreach ($others as $url) {
                $client->get($url);
            }
        });
        foreach ($this->sent as $number => $_) {
            self::assertSame(['', ''], $this->pair($number));
        }
        self::assertCount(count($others), $this->sent);
        self::assertSame(0, $seen['tokens']);
    }

    public function testARedirectElsewhereGoesWithoutThePair(): void
    {
        foreach ([302, 307] as $status) {
            $this->sent = [];
            $client = $this->client(new MockHandler([new Response($status, ['Location' => 'https://evil.example/']), new Response()]));
            $client->post(self::CHARGES, ['json' => self::CHARGE]);
            self::assertStringStartsWith('Bearer ', $this->pair(0)[0]);
            self::assertNotSame('', $this->pair(0)[1]);
            self::assertSame(['', ''], $this->pair(1));
        }
    }

    /** softonic's middleware sends the old pair once more: it changes a request that the handler never sees. */
    public function testTheRepetitionAfterA401HasTheNewPair(): void
    {
        $client = $this->client();
        $client->get('/api/echo');
        self::control('POST', '/revoke');
        $this->sent = [];
        $seen = self::seen(fn () => $client->post(self::CHARGES, ['json' => self::CHARGE]));

        self::assertSame([401, 200], array_map(static fn (array $one) => $one['response']->getStatusCode(), $this->sent));
        [$first, $second] = [$this->pair(0), $this->pair(1)];
        self::assertNotSame($first[0], $second[0]);
        self::assertNotSame($first[1], $second[1]);
        self::assertSame(json_encode(self::CHARGE), (string) $this->sent[1]['request']->getBody());
        self::assertSame(1, $seen['tokens']);
    }

    public function testACallIsRepeatedOnceOnly(): void
    {
        self::fault('calls', ['answer' => ['status' => 401]], null);
        $thrown = self::caught(fn () => $this->client()->post(self::CHARGES, ['json' => self::CHARGE]));
        self::assertInstanceOf(ClientException::class, $thrown);
        self::assertSame(401, $thrown->getResponse()->getStatusCode());
        self::assertCount(2, $this->sent);
    }

    public function testABodyThatCannotBeRewoundIsNotSentTwice(): void
    {
        $client = $this->client();
        $client->get('/api/echo');
        self::control('POST', '/revoke');
        $this->sent = [];
        $body = new NoSeekStream(Utils::streamFor(json_encode(self::CHARGE)));
        $response = $client->post(self::CHARGES, ['body' => $body, 'http_errors' => false]);
        self::assertSame(401, $response->getStatusCode());
        self::assertCount(1, $this->sent);
    }

    public function testOneTokenForAllCallsThatMeetA401(): void
    {
        $client = $this->client();
        $client->get('/api/echo');
        self::control('POST', '/revoke');
        $statuses = [];
        $pool = new Pool($client, array_fill(0, 50, new Request('GET', '/api/echo')), [
            'concurrency' => 25,
            'fulfilled' => static function (ResponseInterface $response) use (&$statuses) {
                $statuses[] = $response->getStatusCode();
            },
        ]);
        $seen = self::seen(fn () => $pool->promise()->wait());
        self::assertSame(array_fill(0, 50, 200), $statuses);
        self::assertSame(1, $seen['tokens']);
    }

    public static function failures(): array
    {
        $throw = static function () {
            throw new \DomainException('of the program');
        };
        return [
            'no answer' => ['cut_after_request', []],
            'half an answer' => ['cut_in_body', []],
            'a status' => [['answer' => ['status' => 404]], []],
            'no answer, by PHP\'s streams' => ['cut_after_request', ['stream' => true]],
            'a sink that cannot be opened' => [null, ['sink' => '/nonexistent/file']],
            'an authority that is not there' => [null, ['verify' => '/nonexistent/file']],
            'on_headers throws' => [null, ['on_headers' => $throw]],
            'on_stats throws' => [null, ['on_stats' => $throw]],
        ];
    }

    /** @dataProvider failures */
    public function testNothingThatTellsOfAFailureShowsThePair(string|array|null $fault, array $options): void
    {
        ini_set('zend.exception_ignore_args', '0');
        $token = $this->manager->getToken();
        $stats = [];
        $options += ['json' => self::CHARGE, 'on_stats' => static function (TransferStats $one) use (&$stats) {
            $stats[] = $one;
        }];
        // What stands below the middleware sees the pair, as the history of the other tests does.
        $stack = HandlerStack::create();
        $stack->push(new Middleware($this->manager), 'pay88');
        $client = new Client([
            'handler' => $stack, 'base_uri' => $this->manager->baseUrl(), 'verify' => getenv('EIGHTY_EIGHT_PAY_CA_BUNDLE'),
        ]);
        $ways = [
            static fn () => $client->post(self::CHARGES, $options),
            static fn () => $client->postAsync(self::CHARGES, $options)->wait(),
        ];
        foreach ($ways as $call) {
            if ($fault !== null) {
                self::fault('calls', $fault);
            }
            $thrown = self::caught($call);
            $told = [$stats, (string) $thrown];
            for ($one = $thrown; $one !== null; $one = $one->getPrevious()) {
                $told[] = [$one->getMessage(), $one->getTrace()];
                if ($one instanceof \GuzzleHttp\Exception\TransferException) {
                    $told[] = [$one->getRequest(), $one->getHandlerContext()];
                }
            }
            foreach (['access_token', 'session_id'] as $name) {
                self::assertFalse(self::shows($told, $token[$name], []), "the $name is shown");
            }
        }
    }

    /** Whether the text is anywhere in the value, as a program that prints all it can get at finds it. */
    private static function shows(mixed $value, string $text, array $seen): bool
    {
        if (is_string($value)) {
            return str_contains($value, $text);
        }
        if ($value instanceof TokenManager || $value instanceof \PHPUnit\Framework\TestCase || count($seen) > 14) {
            return false;
        }
        if ($value instanceof \Closure) {
            $function = new \ReflectionFunction($value);
            $value = [$function->getStaticVariables(), $function->getClosureThis()];
        } elseif (is_object($value)) {
            if (in_array($value, $seen, true)) {
                return false;
            }
            $seen[] = $value;
            $value = (array) $value;
        }
        foreach (is_array($value) ? $value : [] as $part) {
            if (self::shows($part, $text, [...$seen, null])) {
                return true;
            }
        }
        return false;
    }

    public function testACallWhoseAnswerGoesToASinkIsNotRepeated(): void
    {
        $client = $this->client();
        $client->get('/api/echo');
        self::control('POST', '/revoke');
        $this->sent = [];
        $sink = Utils::streamFor(fopen('php://temp', 'w+'));
        $response = $client->get('/api/echo', ['sink' => $sink, 'http_errors' => false]);
        self::assertSame(401, $response->getStatusCode());
        self::assertCount(1, $this->sent);
        self::assertIsArray(json_decode((string) $sink, true));
    }

    public function testThePairStaysBelowTheBaseUrlAndAwayFromTheTokenEndpoint(): void
    {
        $gateway = $this->manager(['base_url' => 'https://gateway.example/88pay']);
        $urls = [
            'https://gateway.example/88pay/../other', 'https://gateway.example/88pay/a/../../other',
            'https://gateway.example/88pay/%2e%2E/other', 'https://gateway.example/88pay/..;x/other',
            'https://gateway.example/88pay/.%2F../other', 'https://gateway.example/88pay/..%5Cother',
            'https://gateway.example/88pay/api/auth/token', 'https://gateway.example/88pay/API/auth/%74oken/',
            'https://gateway.example/other', 'https://gateway.example/88payments/api/echo',
        ];
        foreach ($urls as $url) {
            $mock = new MockHandler([new Response()]);
            (new Middleware($gateway))($mock)(new Request('GET', $url), [])->wait();
            self::assertSame('', $mock->getLastRequest()->getHeaderLine('Authorization'), $url);
            self::assertSame('', $mock->getLastRequest()->getHeaderLine('x-session-id'), $url);
        }
        $this->manager->getToken();
        $mock = new MockHandler([new Response()]);
        (new Middleware($this->manager))($mock)(new Request('GET', $this->manager->baseUrl() . '/api/..a/b.?x=/../'), [])->wait();
        self::assertNotSame('', $mock->getLastRequest()->getHeaderLine('Authorization'));
    }

    public function testErrorsOfTheTokenAreGuzzles(): void
    {
        $manager = new TokenManager(baseUrl: self::closedPort(), options: ['share' => 'process']);
        $thrown = self::caught(fn () => $this->client(null, $manager)->get($manager->baseUrl() . '/api/echo'));
        self::assertInstanceOf(\GuzzleHttp\Exception\ConnectException::class, $thrown);
        self::assertInstanceOf(Pay88Exception::class, $thrown->getPrevious());
        self::assertSame('not_sent', $thrown->getPrevious()->outcome());
    }

    public function testOptionsThatWouldEndangerThePairAreRefused(): void
    {
        $refused = [
            ['verify' => false], ['debug' => true], ['stream_context' => ['http' => ['follow_location' => 1]]],
            ['curl' => [CURLOPT_FOLLOWLOCATION => true]], ['curl' => [CURLOPT_URL => 'https://evil.example']],
            ['curl' => [CURLOPT_SSL_VERIFYPEER => false]], ['curl' => [CURLOPT_VERBOSE => true]],
            ['curl' => [CURLOPT_HEADEROPT => CURLHEADER_UNIFIED]], ['curl' => [CURLOPT_PORT => 1]],
            ['curl' => [CURLINFO_HEADER_OUT => true]],
        ];
        $seen = self::seen(function () use ($refused) {
            foreach ($refused as $option) {
                $thrown = self::caught(fn () => $this->client()->get('/api/echo', $option));
                self::assertInstanceOf(InvalidArgumentException::class, $thrown);
            }
        });
        self::assertSame(['calls' => [], 'tokens' => 0], $seen);
        $curl = [CURLOPT_CONNECTTIMEOUT => 5, CURLOPT_IPRESOLVE => CURL_IPRESOLVE_V4];
        self::assertSame(200, $this->client()->get('/api/echo', ['curl' => $curl])->getStatusCode());
        $this->sent = [];
        // Of other hosts they are the program's own business.
        $this->client(new MockHandler([new Response()]))->get('https://other.example/', ['verify' => false]);
        self::assertCount(1, $this->sent);
    }
}
