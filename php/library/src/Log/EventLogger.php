<?php

declare(strict_types=1);

namespace Pay88\Log;

use Psr\Log\LoggerInterface;

/**
 * Hands pay88's events to a logger of PSR-3: which tokens were asked for, what failed and what is shared. No event holds a secret.
 *
 *     $events = new EventLogger($logger);     // listens from here on
 *     …
 *     $events->log();                         // at the end of a request or of a job
 *
 * A process has one queue of events: let one object of it log them.
 */
final class EventLogger
{
    public function __construct(private readonly LoggerInterface $logger)
    {
        $this->log();
    }

    /** Logs what happened in this process since the last time. */
    public function log(): void
    {
        foreach (\Pay88\events() as $event) {
            $fields = [];
            foreach ($event['fields'] as $name => $value) {
                $fields[] = "$name=" . json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
            }
            $message = "{$event['name']} of manager {$event['manager_id']}: " . implode(' ', $fields);
            $this->logger->log($event['level'], $message, ['pay88' => $event]);
        }
    }
}
