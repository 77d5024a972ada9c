<?php

// The steps of ../README.md in PHP: `face.php IN OUT`, two descriptors, so that the standard streams may be closed.

declare(strict_types=1);

const CHARGE = [
    'flow' => 'PAYIN',
    'method_code' => 'CARDS',
    'method_category' => 'CARD',
    'amount' => 50000,
    'currency' => 'COP',
    'country' => 'COL',
    'description' => 'Order 1001',
    'customer_id' => 'customer-1',
    'notification_url' => 'https://example.com/notify',
    'return_url' => 'https://example.com/return',
];

/** Why what is shared cannot be had, as the event of it says. */
function degraded(): ?string
{
    for ($time = 0; $time < 500; $time++) {
        foreach (Pay88\events() as $event) {
            if ($event['name'] === 'share_degraded') {
                return $event['fields']['reason'];
            }
        }
        usleep(20_000);
    }
    return null;
}

function done(array $words, array &$managers): int|string|null
{
    if ($words[0] === 'new') {
        $options = [];
        foreach (array_slice($words, 1) as $word) {
            [$name, $options[$name]] = explode('=', $word, 2);
        }
        $managers[] = $manager = new Pay88\TokenManager(options: $options);
        return $manager->managerId();
    }
    if ($words[0] === 'listen') {
        Pay88\events();
        return null;
    }
    if ($words[0] === 'degraded') {
        return degraded();
    }
    if ($words[0] === 'open') {
        fclose(@fopen('/dev/null', 'r') ?: throw new RuntimeException('/dev/null cannot be opened'));
        return null;
    }
    $manager = $managers[(int) $words[1]];
    return $words[0] === 'token'
        ? $manager->getToken()['expires_in']
        : $manager->request('POST', '/api/transactions/charges', ['json' => CHARGE])->status();
}

$managers = [];
$steps = fopen("php://fd/$argv[1]", 'r');
$answers = fopen("php://fd/$argv[2]", 'w');
while (($line = fgets($steps)) !== false) {
    try {
        $result = ['ok' => done(preg_split('/\s+/', trim($line)), $managers)];
    } catch (Pay88\Exception\Pay88Exception $error) {
        $result = [
            'code' => $error->errorCode(),
            'outcome' => $error->outcome(),
            'message' => $error->getMessage(),
            'hint' => $error->hint(),
        ];
    } catch (RuntimeException $error) {
        $result = ['code' => 'of_the_system', 'message' => $error->getMessage()];
    }
    fwrite($answers, json_encode($result, JSON_THROW_ON_ERROR) . "\n");
}
