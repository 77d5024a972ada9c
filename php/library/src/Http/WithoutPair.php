<?php

declare(strict_types=1);

namespace Pay88\Http;

use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Exception\RequestException;
use Psr\Http\Message\RequestInterface;

/**
 * @internal What a handler of Guzzle tells of a call, without the token and the session ID.
 *
 * An exception has them in its request, in the arguments of its trace (zend.exception_ignore_args = 0), and in the exceptions
 * before it.
 */
final class WithoutPair
{
    /** The reason, or one like it, with the request as it was before. What is no exception stays as it is. */
    public static function of(#[\SensitiveParameter] mixed $reason, RequestInterface $request): mixed
    {
        if (!$reason instanceof \Throwable) {
            return $reason;
        }
        $before = $reason->getPrevious();
        $before = $before === null ? null : self::of($before, $request);
        $clean = match (true) {
            $reason instanceof ConnectException => new ConnectException(
                $reason->getMessage(),
                $request,
                $before,
                self::context($reason->getHandlerContext())
            ),
            $reason instanceof RequestException => new RequestException(
                $reason->getMessage(),
                $request,
                $reason->getResponse(),
                $before,
                self::context($reason->getHandlerContext())
            ),
            default => $reason,
        };
        $root = $clean instanceof \Exception ? \Exception::class : \Error::class;
        $trace = array_map(static fn (array $frame) => array_diff_key($frame, ['args' => null]), $reason->getTrace());
        (new \ReflectionProperty($root, 'trace'))->setValue($clean, $trace);
        (new \ReflectionProperty($root, 'previous'))->setValue($clean, $before);
        return $clean;
    }

    /** PHP's streams tell their options, whole heads of requests, as arrays. What curl tells has none that matters. */
    private static function context(#[\SensitiveParameter] array $context): array
    {
        return array_filter($context, is_scalar(...));
    }
}
