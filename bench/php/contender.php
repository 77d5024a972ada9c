<?php

/*
 * A contender written in PHP: as many operations as a line of its input says, then what they cost. See src/contender.rs, whose
 * counterpart this is.
 */

declare(strict_types=1);

const CHARGE = '/api/transactions/charges';
const TIMEOUT = 30;

function told(string $name): string
{
    return getenv("BENCH_$name") ?: throw new LogicException("BENCH_$name is not set");
}

/** Starts PHP once more, as this contender, with settings that it takes at its start alone. */
function with_settings(array $settings, string $name): never
{
    $given = [];
    foreach ($settings as $setting) {
        array_push($given, '-d', $setting);
    }
    pcntl_exec(PHP_BINARY, [...$given, __FILE__, $name]);
    exit(1);
}

/** Does the work until the input ends; a tenth of it before each measurement, so that what idled is awake. */
function serve(callable $work): void
{
    if (getenv('BENCH_ONCE') !== false) {
        $work(1);
        echo "answered\n";
        return;
    }
    while (($line = fgets(STDIN)) !== false) {
        $operations = (int) $line;
        $work(intdiv($operations, 10));
        $wall = hrtime(true);
        $cpu = cpu();
        $work($operations);
        echo hrtime(true) - $wall, ' ', cpu() - $cpu, "\n";
    }
}

/** Of all threads, in nanoseconds. */
function cpu(): int
{
    $usage = getrusage();
    return 1000 * (1_000_000 * ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']);
}

function check(int $status, int $bytes): void
{
    if ($status !== 200 || $bytes !== (int) told('ANSWER_BYTES')) {
        throw new UnexpectedValueException("status $status with $bytes bytes");
    }
}

function headers(): array
{
    return [
        'Authorization' => 'Bearer ' . told('ACCESS_TOKEN'),
        'x-session-id' => told('SESSION_ID'),
        'Content-Type' => 'application/json',
        'User-Agent' => told('USER_AGENT'),
        'Accept' => '*/*',
    ];
}

function manager(): Pay88\TokenManager
{
    $options = ['ca_bundle' => told('CA'), 'share' => told('SHARE')];
    return new Pay88\TokenManager(told('API_KEY'), told('MERCHANT_ID'), told('BASE_URL'), $options);
}

function documented(): TokenManager
{
    require __DIR__ . '/documented.php';
    return new TokenManager(told('API_KEY'), told('MERCHANT_ID'), told('BASE_URL'));
}

function read_token(Pay88\TokenManager|TokenManager $of): Closure
{
    if ($of->getToken()['access_token'] !== told('ACCESS_TOKEN')) {
        throw new UnexpectedValueException('another token');
    }
    return static function (int $times) use ($of) {
        while ($times-- > 0) {
            $of->getToken();
        }
    };
}

function charge_pay88(): Closure
{
    $of = manager();
    $options = ['body' => told('BODY')];
    $bytes = (int) told('ANSWER_BYTES');
    return static function (int $times) use ($of, $options, $bytes) {
        while ($times-- > 0) {
            $answer = $of->request('POST', CHARGE, $options);
            if ($answer->status() !== 200 || strlen($answer->body()) !== $bytes) {
                check($answer->status(), strlen($answer->body()));
            }
        }
    };
}

/** Both decode the answer and encode the charge, as the documentation's class does. */
function charge_decoded(Pay88\TokenManager|TokenManager $of): Closure
{
    $charge = json_decode(told('BODY'), true);
    return static function (int $times) use ($of, $charge) {
        while ($times-- > 0) {
            if ($of->makeRequest(CHARGE, 'POST', $charge)['code'] !== 200) {
                check(0, 0);
            }
        }
    };
}

function charge_curl(): Closure
{
    $handle = curl_init();
    $headers = headers();
    curl_setopt_array($handle, [
        CURLOPT_URL => told('BASE_URL') . CHARGE,
        CURLOPT_HTTPHEADER => array_map(static fn ($name, $value) => "$name: $value", array_keys($headers), $headers),
        CURLOPT_POSTFIELDS => told('BODY'),
        CURLOPT_CAINFO => told('CA'),
        CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
        CURLOPT_PROXY => '',
        CURLOPT_TIMEOUT => TIMEOUT,
        CURLOPT_NOSIGNAL => true,
        CURLOPT_RETURNTRANSFER => true,
    ]);
    $bytes = (int) told('ANSWER_BYTES');
    return static function (int $times) use ($handle, $bytes) {
        while ($times-- > 0) {
            $body = curl_exec($handle);
            $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
            if ($status !== 200 || strlen($body) !== $bytes) {
                check($status, strlen((string) $body));
            }
        }
    };
}

function charge_guzzle(): Closure
{
    require 'GuzzleHttp/autoload.php';
    $client = new GuzzleHttp\Client(['verify' => told('CA'), 'timeout' => TIMEOUT, 'proxy' => '']);
    return charges_of($client, ['headers' => headers(), 'body' => told('BODY')]);
}

/** The same client, whose calls pay88 makes. */
function charge_handler(): Closure
{
    require 'GuzzleHttp/autoload.php';
    foreach (['BaseUrl', 'Failure', 'GuzzleOptions', 'Handler'] as $class) {
        require __DIR__ . "/../../php/library/src/Http/$class.php";
    }
    $client = new GuzzleHttp\Client(['handler' => GuzzleHttp\HandlerStack::create(new Pay88\Http\Handler(manager()))]);
    return charges_of($client, ['headers' => ['Content-Type' => 'application/json'], 'body' => told('BODY')]);
}

function charges_of(GuzzleHttp\Client $client, array $options): Closure
{
    $url = told('BASE_URL') . CHARGE;
    $bytes = (int) told('ANSWER_BYTES');
    return static function (int $times) use ($client, $url, $options, $bytes) {
        while ($times-- > 0) {
            $answer = $client->post($url, $options);
            $body = (string) $answer->getBody();
            if ($answer->getStatusCode() !== 200 || strlen($body) !== $bytes) {
                check($answer->getStatusCode(), strlen($body));
            }
        }
    };
}

$name = $argv[1];
if (str_ends_with($name, '-jit')) {
    with_settings(['opcache.enable_cli=1', 'opcache.jit=tracing', 'opcache.jit_buffer_size=64M', 'curl.cainfo=' . told('CA')], substr($name, 0, -4));
}
if (str_ends_with($name, '-documented') && ini_get('curl.cainfo') === '') {
    // The class has no other way to trust the bench's CA.
    with_settings(['curl.cainfo=' . told('CA')], $name);
}
serve(match ($name) {
    'token' => read_token(manager()),
    'token-documented' => read_token(documented()),
    'charge' => charge_pay88(),
    'charge-curl' => charge_curl(),
    'charge-guzzle' => charge_guzzle(),
    'charge-handler' => charge_handler(),
    'charge-decoded' => charge_decoded(manager()),
    'charge-documented' => charge_decoded(documented()),
});
