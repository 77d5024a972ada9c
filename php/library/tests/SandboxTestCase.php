<?php

declare(strict_types=1);

namespace Pay88\Tests;

use Pay88\TokenManager;
use PHPUnit\Framework\TestCase;

/** A test at the sandbox that started PHPUnit, with a key of its own. */
abstract class SandboxTestCase extends TestCase
{
    protected const CHARGES = '/api/transactions/charges';
    protected const CHARGE = [
        'flow' => 'PAYIN', 'method_code' => 'CARDS', 'amount' => 50000, 'currency' => 'COP', 'country' => 'COL',
    ];

    private static array $connections = [];
    protected TokenManager $manager;
    private string $key;

    protected function setUp(): void
    {
        self::control('DELETE', '/faults');
        $this->key = 'sk_test_sandbox_' . bin2hex(random_bytes(8));
        self::control('POST', '/keys', ['merchant_id' => getenv('EIGHTY_EIGHT_PAY_MERCHANT_ID'), 'key' => $this->key]);
        $this->manager = $this->manager();
    }

    protected function tearDown(): void
    {
        self::control('DELETE', '/faults');
    }

    protected function manager(array $options = []): TokenManager
    {
        return new TokenManager(options: $options + ['api_key' => $this->key, 'share' => 'process']);
    }

    protected static function control(string $method, string $path, ?array $body = null): array
    {
        $context = stream_context_create(['http' => [
            'method' => $method,
            'header' => 'Content-Type: application/json',
            'content' => $body === null ? '' : json_encode($body, JSON_THROW_ON_ERROR),
            'timeout' => 10,
        ]]);
        $answer = file_get_contents(getenv('PAY88_SANDBOX_CONTROL') . $path, false, $context);
        return json_decode((string) $answer, true, 512, JSON_THROW_ON_ERROR) ?? [];
    }

    protected static function fault(string|array $on, string|array $action, ?int $times = 1): void
    {
        self::control('POST', '/faults', ['on' => $on, 'action' => $action, 'times' => $times]);
    }

    /** What the sandbox saw meanwhile: requests by their path, without those for tokens, and how many of those there were. */
    protected static function seen(callable $meanwhile): array
    {
        $before = count(self::control('GET', '/log'));
        $meanwhile();
        $requests = array_slice(self::control('GET', '/log'), $before);
        $calls = array_values(array_filter($requests, static fn (array $one) => $one['target'] !== '/api/auth/token'));
        return ['calls' => $calls, 'tokens' => count($requests) - count($calls)];
    }

    protected static function caught(callable $call): \Throwable
    {
        try {
            $call();
        } catch (\Throwable $thrown) {
            return $thrown;
        }
        self::fail('nothing was thrown');
    }

    /** A port at which nobody listens. */
    protected static function closedPort(): string
    {
        // Nobody can listen at the near end of a connection, as long as it stands.
        $server = stream_socket_server('tcp://127.0.0.1:0');
        $near = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
        self::$connections[] = [$server, $near];
        return 'http://' . stream_socket_get_name($near, false);
    }
}
