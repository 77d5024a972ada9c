<?php

declare(strict_types=1);

namespace Pay88\Http;

use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Exception\RequestException as GuzzleRequestException;
use GuzzleHttp\Exception\TransferException;
use Pay88\Exception\Pay88Exception;
use Psr\Http\Message\RequestInterface;

/** @internal What pay88's errors are in PSR-18 and in Guzzle. */
final class Failure
{
    /**
     * Whether the network failed before anything was sent. Programs repeat what PSR-18 calls a network error, and a charge that
     * may have arrived must not be.
     */
    public static function isOfTheNetwork(Pay88Exception $error): bool
    {
        return $error->outcome() === 'not_sent'
            && in_array($error->errorCode(), ['connection_failed', 'tls_failed', 'timeout'], true);
    }

    public static function ofGuzzle(RequestInterface $request, Pay88Exception $error): TransferException
    {
        $context = [
            'code' => $error->errorCode(),
            'outcome' => $error->outcome(),
            'hint' => $error->hint(),
            'http_status' => $error->httpStatus(),
            'retry_after' => $error->retryAfter(),
        ];
        return self::isOfTheNetwork($error)
            ? new ConnectException($error->getMessage(), $request, $error, $context)
            : new GuzzleRequestException($error->getMessage(), $request, null, $error, $context);
    }
}
