<?php

declare(strict_types=1);

namespace Pay88\Http;

use GuzzleHttp\Exception\InvalidArgumentException;
use GuzzleHttp\Utils;

/** @internal Options of Guzzle for a call that pay88 makes: which are taken, and which would be a false hope. */
final class GuzzleOptions
{
    private const NOT_HERE = [
        'auth' => 'The manager authenticates the call itself.',
        'cert' => '88Pay does not ask for client certificates.',
        'ssl_key' => '88Pay does not ask for client certificates.',
        'curl' => 'There is no curl below this handler; pay88\'s own options are given to the TokenManager.',
        'stream_context' => 'There is no stream of PHP below this handler.',
        'force_ip_resolve' => 'Both kinds of addresses are tried.',
        'debug' => 'Pay88\Log\EventLogger tells what happens inside.',
        'sink' => 'The answer is in memory: write its body where you want it.',
        'on_headers' => 'Look at the answer that is returned.',
        'progress' => 'Look at the answer that is returned.',
    ];

    /** The longest call of pay88, in seconds. */
    private const LONGEST = 3600.0;

    public static function check(array $options): void
    {
        foreach (self::NOT_HERE as $name => $reason) {
            // Null and false leave an option out.
            if (($options[$name] ?? false) !== false) {
                throw new InvalidArgumentException("The option \"$name\" of Guzzle is not taken by pay88. $reason");
            }
        }
        if (($options['verify'] ?? true) !== true) {
            throw new InvalidArgumentException(
                'Certificates are always verified by pay88; to trust another authority, give its option ca_bundle to the TokenManager.'
            );
        }
        if (($options['proxy'] ?? null) !== null && $options['proxy'] !== self::proxyOfTheEnvironment()) {
            throw new InvalidArgumentException(
                'The option "proxy" of Guzzle is not taken by pay88: give its option proxy to the TokenManager, or set HTTPS_PROXY.'
            );
        }
    }

    /** As TokenManager::request() names them. */
    public static function ofTheCall(array $options): array
    {
        $own = [];
        // 0 is no limit in Guzzle, but every call of pay88 has an end. Guzzle takes digits too.
        if (($options['timeout'] ?? 0) > 0) {
            $own['timeout'] = min((float) $options['timeout'], self::LONGEST);
        }
        if (isset($options['safe_to_repeat'])) {
            $own['safe_to_repeat'] = $options['safe_to_repeat'];
        }
        return $own;
    }

    /** What Guzzle's Client puts there without being asked. pay88 reads the same variables. */
    private static function proxyOfTheEnvironment(): array
    {
        $proxy = [];
        if (\PHP_SAPI === 'cli' && ($http = Utils::getenv('HTTP_PROXY'))) {
            $proxy['http'] = $http;
        }
        if ($https = Utils::getenv('HTTPS_PROXY')) {
            $proxy['https'] = $https;
        }
        if ($none = Utils::getenv('NO_PROXY')) {
            $proxy['no'] = explode(',', str_replace(' ', '', $none));
        }
        return $proxy;
    }
}
