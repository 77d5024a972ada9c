<?php

declare(strict_types=1);

namespace Pay88\Http;

use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Exception\InvalidArgumentException;
use GuzzleHttp\Exception\RequestException;
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
 * rewound. Time limits, connections and what is known of a failed call are curl's then: Handler keeps pay88's promises.
 */
final class Middleware
{
    /** Options of curl that would send the session ID elsewhere, trust anybody, or print it. */
    private const CURL_REFUSED = [
        'CURLOPT_FOLLOWLOCATION', 'CURLOPT_URL', 'CURLOPT_CONNECT_TO', 'CURLOPT_SSL_VERIFYPEER', 'CURLOPT_SSL_VERIFYHOST',
        'CURLOPT_VERBOSE', 'CURLOPT_DEBUGFUNCTION',
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
            try {
                return $this->authenticated($next, $request, $options);
            } catch (Pay88Exception $error) {
                return Create::rejectionFor(Failure::ofGuzzle($request, $error));
            }
        };
    }

    private function authenticated(callable $next, RequestInterface $request, array $options): PromiseInterface
    {
        $token = $this->manager->getToken();
        return self::sent($next, $request, $options, $token)->then(
            function (ResponseInterface $response) use ($next, $request, $options, $token) {
                if ($response->getStatusCode() !== 401 || !self::isRewound($request->getBody())) {
                    return $response;
                }
                $new = $this->renewed($token);
                return $new === null ? $response : self::sent($next, $request, $options, $new);
            }
        );
    }

    /** The token after the rejected one; null if there is none now, and the 401 is all that can be told. */
    private function renewed(#[\SensitiveParameter] array $rejected): ?array
    {
        try {
            // Does nothing if another call has dropped it already.
            $this->manager->invalidate($rejected);
            return $this->manager->getToken();
        } catch (Pay88Exception) {
            return null;
        }
    }

    /** Sends a copy that has the pair; whatever tells of it afterwards has the request without. */
    private static function sent(
        callable $next,
        RequestInterface $request,
        array $options,
        #[\SensitiveParameter] array $token
    ): PromiseInterface {
        if (isset($options['on_stats'])) {
            $tell = $options['on_stats'];
            $options['on_stats'] = static fn (#[\SensitiveParameter] TransferStats $stats) => $tell(new TransferStats(
                $request,
                $stats->getResponse(),
                $stats->getTransferTime(),
                $stats->getHandlerErrorData(),
                $stats->getHandlerStats()
            ));
        }
        $authorized = $request
            ->withHeader('Authorization', "Bearer {$token['access_token']}")
            ->withHeader('x-session-id', $token['session_id']);
        return $next($authorized, $options)->then(
            null,
            static fn (#[\SensitiveParameter] mixed $reason) => Create::rejectionFor(self::withoutPair($reason, $request))
        );
    }

    private static function withoutPair(#[\SensitiveParameter] mixed $reason, RequestInterface $request): mixed
    {
        return match (true) {
            $reason instanceof ConnectException => new ConnectException(
                $reason->getMessage(),
                $request,
                $reason->getPrevious(),
                $reason->getHandlerContext()
            ),
            $reason instanceof RequestException => new RequestException(
                $reason->getMessage(),
                $request,
                $reason->getResponse(),
                $reason->getPrevious(),
                $reason->getHandlerContext()
            ),
            default => $reason,
        };
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
        $refused = array_filter(
            self::CURL_REFUSED,
            static fn (string $name) => defined($name) && array_key_exists(constant($name), $options['curl'] ?? [])
        );
        if (($options['verify'] ?? true) === false) {
            $refused[] = 'verify';
        }
        if (($options['debug'] ?? false) !== false) {
            $refused[] = 'debug';
        }
        if (isset($options['stream_context'])) {
            $refused[] = 'stream_context';
        }
        if ($refused !== []) {
            throw new InvalidArgumentException(
                'Not taken for calls of 88Pay, since the token could go elsewhere: ' . implode(', ', $refused) . '.'
            );
        }
    }
}
