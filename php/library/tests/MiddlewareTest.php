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

    public function testNothingThatTellsOfACallShowsThePair(): void
    {
        $token = $this->manager->getToken();
        $shown = [];
        $tell = static function (TransferStats $stats) use (&$shown) {
            $shown[] = $stats;
        };
        foreach (['cut_after_request', 'cut_in_body', ['answer' => ['status' => 404]]] as $fault) {
            self::fault('calls', $fault);
            $thrown = self::caught(fn () => $this->client()->post(self::CHARGES, ['json' => self::CHARGE, 'on_stats' => $tell]));
            // What stands below the middleware sees the pair, as this test's history does.
            $this->sent = [];
            $shown[] = [$thrown->getRequest(), (string) $thrown, $thrown->getHandlerContext(), $thrown->getPrevious()];
        }
        self::assertCount(6, $shown);
        $text = print_r($shown, true);
        foreach (['access_token', 'session_id'] as $name) {
            self::assertStringNotContainsString($token[$name], $text);
        }
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
        ];
        $seen = self::seen(function () use ($refused) {
            foreach ($refused as $option) {
                $thrown = self::caught(fn () => $this->client()->get('/api/echo', $option));
                self::assertInstanceOf(InvalidArgumentException::class, $thrown);
            }
        });
        self::assertSame(['calls' => [], 'tokens' => 0], $seen);
        // Of other hosts they are the program's own business.
        $this->client(new MockHandler([new Response()]))->get('https://other.example/', ['verify' => false]);
        self::assertCount(1, $this->sent);
    }
}
