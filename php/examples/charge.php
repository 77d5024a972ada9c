<?php

// Makes one charge with the credentials of the environment and prints its status and reference.

use Pay88\Exception\Pay88Exception;
use Pay88\TokenManager;

try {
    $tm = new TokenManager();
    $answer = $tm->request('POST', '/api/transactions/charges', ['json' => [
        'flow' => 'PAYIN',
        'method_code' => 'NEQUI',
        'method_category' => 'WALLET',
        'amount' => 50000,
        'currency' => 'COP',
        'country' => 'COL',
        'description' => 'An order',
        'customer_id' => 'customer-1',
        'notification_url' => 'https://shop.example/notify',
    ]]);
    echo $answer->status(), ' ', $answer->raiseForStatus()->json()['data']['reference'], "\n";
} catch (Pay88Exception $error) {
    fwrite(STDERR, "{$error->getMessage()} (outcome: {$error->outcome()})\n");
    exit(1);
}
