<?php

declare(strict_types=1);

namespace Pay88\Tests;

use Pay88\Log\EventLogger;
use Psr\Log\AbstractLogger;

final class EventLoggerTest extends SandboxTestCase
{
    public function testEventsComeAsRecords(): void
    {
        $logger = new class () extends AbstractLogger {
            public array $records = [];

            public function log($level, $message, array $context = []): void
            {
                $this->records[] = [$level, $message, $context];
            }
        };
        $events = new EventLogger($logger);
        self::assertSame([], $logger->records);

        $token = $this->manager->getToken();
        $this->manager->request('GET', '/api/none');
        $events->log();
        $told = count($logger->records);
        $events->log();

        self::assertCount($told, $logger->records, 'an event was logged twice');
        $byName = [];
        foreach ($logger->records as [$level, $message, $context]) {
            $byName[$context['pay88']['name']] = [$level, $message];
        }
        self::assertSame('info', $byName['token_issued'][0]);
        self::assertMatchesRegularExpression(
            '/^token_issued of manager ' . $this->manager->managerId() . ': attempt=1 expires_in=60 generation=1 /',
            $byName['token_issued'][1]
        );
        self::assertSame('warning', $byName['call_failed'][0]);
        self::assertStringContainsString('path="/api/none"', $byName['call_failed'][1]);
        $text = print_r($logger->records, true);
        self::assertStringNotContainsString($token['access_token'], $text);
        self::assertStringNotContainsString($token['session_id'], $text);
    }
}
