<?php

declare(strict_types=1);

namespace Pay88\Http;

use Pay88\TokenManager;
use Psr\Http\Message\UriInterface;

/** @internal Whose a URL is. */
final class BaseUrl
{
    /** The path and query below the manager's base URL; null if the URL leads elsewhere, or may do so. */
    public static function endpoint(TokenManager $manager, UriInterface $uri): ?string
    {
        $below = $uri->withFragment('');
        if ($uri->getScheme() === '' && $uri->getAuthority() === '') {
            return (string) $below;
        }
        $base = $manager->baseUrl();
        $text = (string) $below;
        if (!str_starts_with($text, "$base/")) {
            return null;
        }
        $endpoint = substr($text, strlen($base));
        return self::staysBelow(explode('?', $endpoint)[0]) ? $endpoint : null;
    }

    /** Whether every server reads the path as one below the base URL, and not as the token endpoint, which no token is for. */
    private static function staysBelow(string $path): bool
    {
        $plain = rawurldecode($path);
        foreach (preg_split('/[\/\\\\]/', $plain) as $segment) {
            if (in_array(explode(';', $segment)[0], ['.', '..'], true)) {
                return false;
            }
        }
        return strcasecmp(rtrim($plain, '/'), '/api/auth/token') !== 0;
    }
}
