<?php

declare(strict_types=1);

namespace Pay88\Http;

use Psr\Http\Client\NetworkExceptionInterface;

/** No connection could be had, and nothing was sent. */
final class NetworkException extends ClientException implements NetworkExceptionInterface
{
}
