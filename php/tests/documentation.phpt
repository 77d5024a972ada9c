--TEST--
The documentation's sample runs with only its class replaced: its arguments, its arrays, its decoded answers
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();
Sandbox::set(['expires_in' => 60]);

use Pay88\TokenManager;

// Initialize once
$tokenManager = new TokenManager(
    getenv('EIGHTY_EIGHT_PAY_API_KEY'),
    getenv('EIGHTY_EIGHT_PAY_MERCHANT_ID'),
    getenv('EIGHTY_EIGHT_PAY_BASE_URL') ?: 'https://api-sandbox.88pay.io'
);
// Usage
$payment = $tokenManager->makeRequest('/api/transactions/charges', 'POST', CHARGE);
same('Success', $payment['status']);
same(200, $payment['code']);
same(50000, $payment['data']['amount']);

$tokenData = $tokenManager->getToken();
$headers = ['Authorization: Bearer ' . $tokenData['access_token'], 'x-session-id: ' . $tokenData['session_id']];
same(60, $tokenData['expires_in']);
same(3, count($tokenData));

// Answers of any status are decoded, too, and an empty body is none.
same(400, $tokenManager->makeRequest(CHARGES, 'POST', ['flow' => 'PAYOUT'])['code']);
same(404, $tokenManager->makeRequest('/api/nothing')['code']);
same('Success', $tokenManager->makeRequest('/api/balance?id=MCH-COL-TEST-12345', 'POST', [])['status']);
same(1, Sandbox::charges());
same(1, Sandbox::tokensIssued());

// getenv() has false for what is not set, and the next place is looked at: so it is under strict types as well.
$environment = [getenv('NOT_SET'), getenv('NOT_SET'), getenv('NOT_SET')];
same($tokenManager->managerId(), (new TokenManager(...$environment))->managerId());
echo "done\n";
?>
--EXPECT--
done
