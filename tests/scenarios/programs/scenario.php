<?php

// Scenario steps through Pay88\TokenManager. PHP does one thing at a time: steps that are to be done at once are done in a row.
// See ../README.md.

declare(strict_types=1);

use Pay88\Exception\Pay88Exception;
use Pay88\TokenManager;

error_reporting(E_ALL);
ini_set('display_errors', 'stderr');

/** Fields of a form in the order in which they came; parse_str() would change the dots in their names. */
function fields(string $line): array
{
    $fields = [];
    foreach (explode('&', rtrim($line, "\n")) as $pair) {
        $fields[] = array_map('rawurldecode', explode('=', $pair, 2));
    }
    return $fields;
}

/** What is named below the prefix, several of one name as a list. */
function below(array $fields, string $prefix): array
{
    $found = [];
    foreach ($fields as [$name, $value]) {
        if (str_starts_with($name, $prefix)) {
            $found[substr($name, strlen($prefix))][] = $value;
        }
    }
    return $found;
}

function token(TokenManager $manager, ?array $token): ?array
{
    return $token === null ? null : $token + ['valid_for' => $manager->stats()['token_valid_for']];
}

function response(TokenManager $manager, array $step, array $fields): array
{
    $options = ['headers' => below($fields, 'header.'), 'params' => below($fields, 'param.')];
    if (isset($step['body'])) {
        $options['body'] = $step['body'];
    }
    if (isset($step['timeout'])) {
        $options['timeout'] = (float) $step['timeout'];
    }
    $options['safe_to_repeat'] = ($step['safe_to_repeat'] ?? '') === 'true';
    $answer = $manager->request($step['method'], $step['endpoint'], $options);
    $headers = array_map(static fn (array $values) => implode(', ', $values), $answer->headers());
    return ['status' => $answer->status(), 'headers' => (object) $headers, 'body' => $answer->body()];
}

function result(array $step, array $fields, array &$managers, array &$events): mixed
{
    if ($step['do'] === 'new') {
        $managers[] = $manager = new TokenManager(options: array_map(static fn (array $values) => $values[0], below($fields, 'option.')));
        return $manager->managerId();
    }
    if ($step['do'] === 'events') {
        return $events = [...$events, ...Pay88\events()];
    }
    $manager = $managers[(int) $step['manager']];
    return match ($step['do']) {
        'get_token' => token($manager, $manager->getToken(isset($step['timeout']) ? (float) $step['timeout'] : null)),
        'peek_token' => token($manager, $manager->peekToken()),
        'request' => response($manager, $step, $fields),
        'invalidate' => $manager->invalidate(),
        'rotate' => $manager->rotate($step['api_key'], $step['keep_old'] === 'true'),
        'close' => $manager->close(),
        'stats' => $manager->stats(),
    };
}

$managers = [];
$events = Pay88\events();
while (($line = fgets(STDIN)) !== false) {
    $fields = fields($line);
    $step = array_column($fields, 1, 0);
    $results = [];
    for ($time = 0; $time < (int) $step['at_once']; $time++) {
        try {
            $results[] = ['ok' => result($step, $fields, $managers, $events)];
        } catch (Pay88Exception $error) {
            $results[] = ['error' => [
                'code' => $error->errorCode(),
                'message' => $error->getMessage(),
                'hint' => $error->hint(),
                'outcome' => $error->outcome(),
                'http_status' => $error->httpStatus(),
                'retry_after' => $error->retryAfter(),
                'retryable' => $error->retryable(),
                'attempt' => $error->attempt(),
            ]];
        }
    }
    echo json_encode($results, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION), "\n";
}
