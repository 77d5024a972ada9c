<?php

declare(strict_types=1);

namespace Pay88\Http;

use Pay88\TokenManager;
use Psr\Http\Message\UriInterface;

/** @internal Whose a URL is. */
final class BaseUrl
{
    /** The path and query below the manager's base URL; null if the URL leads elsewhere. */
    public static function endpoint(TokenManager $manager, UriInterface $uri): ?string
    {
        $below = $uri->withFragment('');
        if ($uri->getScheme() === '' && $uri->getAuthority() === '') {
            return (string) $below;
        }
        $base = $manager->baseUrl();
        $text = (string) $below;
        return str_starts_with($text, "$base/") ? substr($text, strlen($base)) : null;
    }
}
