<?php

declare(strict_types=1);

namespace Pay88\Http;

use Pay88\Exception\Pay88Exception;
use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Message\RequestInterface;

/** A failure of pay88 as PSR-18 wants it. */
abstract class ClientException extends \RuntimeException implements ClientExceptionInterface
{
    public function __construct(private readonly RequestInterface $request, private readonly Pay88Exception $error)
    {
        parent::__construct($error->getMessage(), $error->getCode(), $error);
    }

    public function getRequest(): RequestInterface
    {
        return $this->request;
    }

    /** pay88's own, which getPrevious() is too. */
    public function pay88(): Pay88Exception
    {
        return $this->error;
    }

    /** "not_sent": safe to repeat; "unknown": it may have arrived, look it up; "answered". */
    public function outcome(): string
    {
        return $this->error->outcome();
    }
}
