--TEST--
In a FastCGI server: what the web server passes is read, also where $_SERVER has lost it; a section of php.ini holds for its requests alone; the token outlives them
--SKIPIF--
<?php
if (!getenv('TEST_PHP_CGI_EXECUTABLE')) die('skip php-cgi is missing');
?>
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

/** One request of FastCGI; gives the body. */
function request(string $socket, string $script, array $params = []): string
{
    $record = fn (int $type, string $content) => pack('CCnnCC', 1, $type, 1, strlen($content), 0, 0) . $content;
    $pair = fn (string $text) => pack('N', strlen($text) | 0x80000000);
    $all = '';
    foreach (['SCRIPT_FILENAME' => $script, 'REQUEST_METHOD' => 'GET', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REDIRECT_STATUS' => '200'] + $params as $name => $value) {
        $all .= $pair($name) . $pair($value) . $name . $value;
    }
    $server = stream_socket_client("unix://$socket");
    fwrite($server, $record(1, pack('nCx5', 1, 0)) . $record(4, $all) . $record(4, '') . $record(5, ''));
    $output = '';
    while (strlen($head = stream_get_contents($server, 8)) === 8) {
        ['type' => $type, 'length' => $length, 'padding' => $padding] = unpack('Cversion/Ctype/nid/nlength/Cpadding/x', $head);
        $content = $length + $padding ? stream_get_contents($server, $length + $padding) : '';
        if ($type === 6 || $type === 7) {
            $output .= substr($content, 0, $length);
        } elseif ($type === 3) {
            break;
        }
    }
    return explode("\r\n\r\n", $output, 2)[1] ?? $output;
}

$directory = sys_get_temp_dir() . '/pay88-server-' . getmypid();
mkdir("$directory/special", 0700, true);
$special = Sandbox::newKey();
file_put_contents("$directory/settings", "
pay88.api_key=" . Sandbox::$key . "
[PATH=$directory/special]
pay88.api_key=$special
pay88.user_agent_suffix=special/1
");
$program = '<?php
unset($_SERVER["EIGHTY_EIGHT_PAY_USER_AGENT_SUFFIX"], $_ENV);
if (isset($_SERVER["BREAK"])) {
    try { new Pay88\TokenManager("sk_test_x", options: ["timeout" => -1]); } catch (Exception) {}
    (new Pay88\TokenManager)->stats() && trigger_error("the end", E_USER_ERROR);
}
$tm = new Pay88\TokenManager;
echo json_encode([$tm->managerId(), $tm->request("GET", "/api/echo")->json()["data"]["headers"]["user-agent"], ini_get("pay88.api_key"), getmypid()]);
';
file_put_contents("$directory/plain.php", $program);
file_put_contents("$directory/special/index.php", $program);
$socket = "$directory/socket";
$flags = array_slice(explode(' ', trim(getenv('PAY88_TEST_PHP_FLAGS'))), 1);
$environment = ['EIGHTY_EIGHT_PAY_API_KEY' => '', 'PHP_FCGI_CHILDREN' => '0', 'PHP_INI_SCAN_DIR' => $directory] + getenv();
$server = proc_open([getenv('TEST_PHP_CGI_EXECUTABLE'), '-c', "$directory/settings", ...$flags, '-b', $socket], [], $pipes, null, $environment);
for ($i = 0; $i < 3000 && !@stream_socket_client("unix://$socket"); $i++) {
    pause(0.02);
}
try {
    $first = json_decode(request($socket, "$directory/plain.php"), true);
    [$manager, $agent, $shown, $process] = $first;
    same('', $shown);
    // The next requests of the process have the same manager, and so its token and connections.
    same($first, json_decode(request($socket, "$directory/plain.php"), true));
    $passed = ['EIGHTY_EIGHT_PAY_USER_AGENT_SUFFIX' => 'passed/1'];
    same([$manager, "$agent passed/1", '', $process], json_decode(request($socket, "$directory/plain.php", $passed), true));
    // What a client sends as a header is not read.
    same($first, json_decode(request($socket, "$directory/plain.php", ['HTTP_EIGHTY_EIGHT_PAY_USER_AGENT_SUFFIX' => 'client/1', 'HTTP_PROXY' => 'http://client:1']), true));
    // The section holds for its own requests, and is gone with them.
    [$other, $special_agent] = json_decode(request($socket, "$directory/special/index.php"), true);
    holds($other !== $manager);
    same("$agent special/1", $special_agent);
    same($first, json_decode(request($socket, "$directory/plain.php"), true));
    holds(str_contains(request($socket, "$directory/special/index.php", ['BREAK' => '1']), 'the end'));
    same($first, json_decode(request($socket, "$directory/plain.php"), true));
    same(2, Sandbox::tokensIssued());
    same(7, count(Sandbox::calls()));
    same(1, Sandbox::counters()['connections_accepted']);
} finally {
    proc_terminate($server);
    proc_close($server);
    exec("rm -r $directory");
}
echo "done\n";
?>
--EXPECT--
done
