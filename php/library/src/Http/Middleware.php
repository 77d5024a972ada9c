<?php

declare(strict_types=1);

namespace Pay88\Http;

use GuzzleHttp\Exception\InvalidArgumentException;
use GuzzleHttp\Promise\Create;
use GuzzleHttp\Promise\PromiseInterface;
use GuzzleHttp\TransferStats;
use Pay88\Exception\Pay88Exception;
use Pay88\TokenManager;
use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\StreamInterface;

/**
 * For programs that keep Guzzle's curl: authenticates what goes to 88Pay, and only that.
 *
 *     $stack = GuzzleHttp\HandlerStack::create();
 *     $stack->push(new Middleware($tokenManager), 'pay88');
 *
 * Push it last, so that it is next to the handler: what stands before it never sees the token and the session ID, and it sees
 * each hop of a redirect. After a 401 it has one new token for however many calls, and repeats each once if its body can be
 * rewound and its answer goes to no sink. Time limits, connections and what is known of a failed call are curl's then: Handler
 * keeps pay88's promises.
 *
 * The pair, token and session ID, is in no closure and in no exception: error reports show those.
 */
final class Middleware
{
    /** Of curl's own options those that can neither send the pair elsewhere, nor trust anybody, nor print it. */
    private const OF_CURL = [
        'body_as_string', CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_CONNECTTIMEOUT, CURLOPT_CONNECTTIMEOUT_MS,
        CURLOPT_DNS_CACHE_TIMEOUT, CURLOPT_FORBID_REUSE, CURLOPT_FRESH_CONNECT, CURLOPT_HTTP_VERSION, CURLOPT_IPRESOLVE,
        CURLOPT_LOW_SPEED_LIMIT, CURLOPT_LOW_SPEED_TIME, CURLOPT_NOSIGNAL, CURLOPT_TCP_KEEPALIVE, CURLOPT_TCP_KEEPIDLE,
        CURLOPT_TCP_KEEPINTVL, CURLOPT_TCP_NODELAY, CURLOPT_TIMEOUT, CURLOPT_TIMEOUT_MS,
    ];

    public function __construct(private readonly TokenManager $manager)
    {
    }

    public function __invoke(callable $next): callable
    {
        return function (RequestInterface $request, array $options) use ($next): PromiseInterface {
            $uri = $request->getUri();
            if ($uri->getHost() === '' || BaseUrl::endpoint($this->manager, $uri) === null) {
                return $next($request, $options);
            }
            self::check($options);
            return $this->authenticated($next, $request, $options);
        };
    }

    private function authenticated(callable $next, RequestInterface $request, array $options): PromiseInterface
    {
        return $this->sent($next, $request, $options, $mark)->then(
            function (ResponseInterface $response) use ($next, $request, $options, $mark) {
                // Guzzle would write the second answer over the first one.
                $repeatable = !isset($options['sink']) && self::isRewound($request->getBody());
                if ($response->getStatusCode() !== 401 || !$repeatable || !$this->renew($mark)) {
                    return $response;
                }
                return $this->sent($next, $request, $options);
            }
        );
    }

    /** Whether there is another token than the rejected one; if not, the 401 is all that can be told. */
    private function renew(string $mark): bool
    {
        try {
            $token = $this->manager->peekToken();
            // Another call may have dropped it already.
            if ($token !== null && self::mark($token) === $mark) {
                $this->manager->invalidate($token);
            }
            $this->manager->getToken();
            return true;
        } catch (Pay88Exception) {
            return false;
        }
    }

    /** What a token is known by afterwards, without being it. */
    private static function mark(#[\SensitiveParameter] array $token): string
    {
        return hash('sha256', $token['access_token']);
    }

    /** Sends a copy that has the pair, and gives its mark; whatever tells of it afterwards has the request without. */
    private function sent(
        callable $next,
        RequestInterface $request,
        array $options,
        ?string &$mark = null
    ): PromiseInterface {
        try {
            $token = $this->manager->getToken();
        } catch (Pay88Exception $error) {
            $mark = '';
            return Create::rejectionFor(Failure::ofGuzzle($request, $error));
        }
        $mark = self::mark($token);
        if (isset($options['on_stats'])) {
            $tell = $options['on_stats'];
            $options['on_stats'] = static fn (#[\SensitiveParameter] TransferStats $stats) => $tell(new TransferStats(
                $request,
                $stats->getResponse(),
                $stats->getTransferTime(),
                WithoutPair::of($stats->getHandlerErrorData(), $request),
                $stats->getHandlerStats()
            ));
        }
        try {
            $promise = $next(
                $request
                    ->withHeader('Authorization', "Bearer {$token['access_token']}")
                    ->withHeader('x-session-id', $token['session_id']),
                $options
            );
        } catch (\Throwable $error) {
            return Create::rejectionFor(WithoutPair::of($error, $request));
        }
        return $promise->then(
            null,
            static fn (#[\SensitiveParameter] mixed $reason) => Create::rejectionFor(WithoutPair::of($reason, $request))
        );
    }

    private static function isRewound(StreamInterface $body): bool
    {
        if ($body->getSize() === 0) {
            return true;
        }
        if (!$body->isSeekable()) {
            return false;
        }
        try {
            $body->rewind();
            return true;
        } catch (\RuntimeException) {
            return false;
        }
    }

    private static function check(array $options): void
    {
        $refused = array_keys(array_filter([
            'verify' => ($options['verify'] ?? true) === false,
            'debug' => ($options['debug'] ?? false) !== false,
            'stream_context' => isset($options['stream_context']),
        ]));
        foreach (array_diff(array_keys($options['curl'] ?? []), self::OF_CURL) as $number) {
            $refused[] = "curl[$number]";
        }
        if ($refused !== []) {
            throw new InvalidArgumentException(
                'Not taken for calls of 88Pay, since the token could go elsewhere or be shown: ' . implode(', ', $refused) . '.'
            );
        }
    }
}
