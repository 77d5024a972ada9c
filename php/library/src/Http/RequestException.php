<?php

declare(strict_types=1);

namespace Pay88\Http;

use Psr\Http\Client\RequestExceptionInterface;

/** Any other failure of a call: look at outcome() before it is made again. */
final class RequestException extends ClientException implements RequestExceptionInterface
{
}
