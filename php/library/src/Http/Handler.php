<?php

declare(strict_types=1);

namespace Pay88\Http;

use GuzzleHttp\Promise\Create;
use GuzzleHttp\Promise\PromiseInterface;
use GuzzleHttp\Psr7\HttpFactory;
use GuzzleHttp\TransferStats;
use Nyholm\Psr7\Factory\Psr17Factory;
use Pay88\Exception\BadResponseException;
use Pay88\Exception\ConfigInvalidException;
use Pay88\Exception\Pay88Exception;
use Pay88\Exception\RefusedException;
use Pay88\TokenManager;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\ResponseFactoryInterface;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\StreamFactoryInterface;
use Psr\Http\Message\StreamInterface;

/**
 * Has pay88 make the calls of a program that speaks PSR-18 or Guzzle, with all that it promises of calls.
 *
 *     $client = new Handler($tokenManager);                                                    // PSR-18
 *     $client = new GuzzleHttp\Client(['handler' => HandlerStack::create(new Handler($tokenManager))]);
 *
 * The URL is below the manager's base URL, or a path alone. Errors keep pay88's own as the previous one, whose outcome() says
 * whether the request can have reached 88Pay. A NetworkException, in Guzzle a ConnectException, is thrown only where nothing was
 * sent, since that is what programs repeat. Of Guzzle's options it takes timeout, delay and on_stats, and "safe_to_repeat" as
 * TokenManager::request() does. connect_timeout, read_timeout, version and crypto_method change nothing: the timeout is for the
 * whole call, and TLS is 1.2 or 1.3. Guzzle's asynchronous calls are made at once, as its own CurlHandler makes them.
 */
final class Handler implements ClientInterface
{
    /** What the client or its middleware sets by itself, and pay88 too. */
    private const SET_BY_PAY88 = ['host', 'content-length', 'transfer-encoding', 'expect'];

    private readonly ResponseFactoryInterface $responses;
    private readonly StreamFactoryInterface $streams;

    /** The factories of PSR-17 are Guzzle's or Nyholm's unless they are given. */
    public function __construct(
        private readonly TokenManager $manager,
        ?ResponseFactoryInterface $responses = null,
        ?StreamFactoryInterface $streams = null
    ) {
        $this->responses = $responses ?? self::factory();
        $this->streams = $streams ?? self::factory();
    }

    /** The call of PSR-18. */
    public function sendRequest(RequestInterface $request): ResponseInterface
    {
        try {
            return $this->send($request, []);
        } catch (Pay88Exception $error) {
            throw Failure::isOfTheNetwork($error)
                ? new NetworkException($request, $error)
                : new RequestException($request, $error);
        }
    }

    /** The call of Guzzle. */
    public function __invoke(RequestInterface $request, array $options): PromiseInterface
    {
        GuzzleOptions::check($options);
        if (is_string($options['decode_content'] ?? null)) {
            // Guzzle has made a header of it; pay88 says itself what it decodes.
            $request = $request->withoutHeader('Accept-Encoding');
        }
        if (isset($options['delay'])) {
            usleep((int) ($options['delay'] * 1000));
        }
        $begun = hrtime(true);
        $response = $failure = null;
        try {
            if (isset($options['__redirect_count'])) {
                throw self::redirected();
            }
            $response = $this->send($request, GuzzleOptions::ofTheCall($options));
        } catch (Pay88Exception $error) {
            $failure = Failure::ofGuzzle($request, $error);
        }
        if (isset($options['on_stats'])) {
            $options['on_stats'](new TransferStats($request, $response, (hrtime(true) - $begun) / 1e9, $failure));
        }
        return $failure === null ? Create::promiseFor($response) : Create::rejectionFor($failure);
    }

    /** @param array<string, mixed> $options those of TokenManager::request() */
    private function send(RequestInterface $request, array $options): ResponseInterface
    {
        $body = self::text($request->getBody());
        if ($body !== '') {
            $options['body'] = $body;
        }
        foreach ($request->getHeaders() as $name => $values) {
            if (!in_array(strtolower((string) $name), self::SET_BY_PAY88, true)) {
                $options['headers'][$name] = $values;
            }
        }
        $answer = $this->manager->request($request->getMethod(), $this->endpoint($request), $options);
        try {
            $response = $this->responses->createResponse($answer->status());
            foreach ($answer->headers() as $name => $values) {
                // A name of digits alone has become a number.
                $response = $response->withHeader((string) $name, $values);
            }
            return $response->withBody($this->streams->createStream($answer->body()));
        } catch (\Throwable $error) {
            // Whoever made the charge must not take it for one that failed.
            throw new BadResponseException(
                'The answer came, and no response of PSR-7 could be made of it.',
                previous: $error,
                hint: "The exception's response() is the answer; the previous exception says why.",
                outcome: 'answered',
                httpStatus: $answer->status(),
                response: $answer
            );
        }
    }

    /** The whole body. What is left of one that was read before is none. */
    private static function text(StreamInterface $body): string
    {
        try {
            if ($body->isSeekable()) {
                $body->rewind();
            } elseif ($body->tell() > 0) {
                throw new \LogicException('It was read before and cannot be rewound.');
            }
            return $body->getContents();
        } catch (\Exception $error) {
            throw new ConfigInvalidException(
                'The body of the request cannot be read.',
                previous: $error,
                hint: 'Give each request a body that is whole; the previous exception says why this one is not.'
            );
        }
    }

    private function endpoint(RequestInterface $request): string
    {
        $uri = $request->getUri();
        $endpoint = BaseUrl::endpoint($this->manager, $uri);
        if ($endpoint === null) {
            throw new RefusedException(
                "The URL does not begin with the manager's base URL.",
                hint: 'The token goes to 88Pay only: make this call with another client.'
            );
        }
        return $endpoint;
    }

    /** What the caller must not take for a call that was not sent: the first one was, and has had its answer. */
    private static function redirected(): RefusedException
    {
        return new RefusedException(
            'The answer was a redirect, and none is followed.',
            hint: "Pass 'allow_redirects' => false to Guzzle, and look at the answer's Location.",
            outcome: 'answered'
        );
    }

    private static function factory(): ResponseFactoryInterface&StreamFactoryInterface
    {
        return match (true) {
            class_exists(HttpFactory::class) => new HttpFactory(),
            class_exists(Psr17Factory::class) => new Psr17Factory(),
            default => throw new \LogicException(
                'There is no factory for responses: install guzzlehttp/psr7 or nyholm/psr7, or pass the factories of another.'
            ),
        };
    }
}
