--TEST--
Secrets of php.ini, of the constructor and of 88Pay are shown by no function of PHP, no exception and no trace
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

$key = Sandbox::$key;
$new = Sandbox::newKey();
$previous = 'sk_test_sandbox_previous_5d8c31a97be2';
$password = 'pw-7c1f09e5b4a2d683';
file_put_contents($ini = tempnam(sys_get_temp_dir(), 'pay88'), "
pay88.api_key=$key
pay88.previous_api_key=$previous
pay88.proxy=http://shop:$password@127.0.0.1:1
pay88.share=host,redis://:$password@127.0.0.1:1
pay88.timeout=20
zend.exception_ignore_args=0
zend.exception_string_param_max_len=1000
error_log=
log_errors=1
display_errors=1
html_errors=0
[PATH=/var/www/shop]
pay88.api_key=$new
pay88.timeout=21
[HOST=shop.example]
pay88.share=redis://:$password@127.0.0.1:1
");
$program = <<<'PHP'
const SETTINGS = ['pay88.api_key', 'pay88.previous_api_key', 'pay88.proxy', 'pay88.share', 'pay88.timeout'];
function show(object $it): void
{
    var_dump($it);
    var_export($it);
    print_r($it);
    debug_zval_dump($it);
    var_dump((array)$it, get_object_vars($it), json_encode($it), (string)(new ReflectionObject($it)));
    foreach ($it as $name => $value) {
        var_dump($name, $value);
    }
    try { serialize($it); } catch (Exception $e) { echo $e; }
}
function all(Throwable $thrown): void
{
    echo $thrown;
    var_dump($thrown, $thrown->getTrace());
    print_r($thrown);
    error_log($thrown);
}
phpinfo();
var_dump(ini_get_all('pay88'), ini_get_all(), array_map('ini_get', SETTINGS), array_map('get_cfg_var', SETTINGS));
var_dump(get_cfg_var('/var/www/shop'), get_cfg_var('shop.example'));
var_dump((new ReflectionExtension('pay88'))->getINIEntries(), (string)(new ReflectionExtension('pay88')));
$tm = new Pay88\TokenManager(options: ['share' => 'host', 'proxy' => 'none']);
$token = $tm->getToken();
$response = $tm->request('POST', '/api/transactions/charges', ['json' => ['flow' => 'x']]);
$secrets = [$token['access_token'], $token['session_id']];
unset($token);
show($tm);
show($response);
try { $response->raiseForStatus(); } catch (Exception $e) { all($e); }
try { new Pay88\TokenManager($argv[1] . ' ', options: ['timeout' => -1]); } catch (Exception $e) { all($e); }
try { new Pay88\TokenManager(options: ['api_key' => $argv[1], 'proxy' => 'ftp://user:' . $argv[2] . '@proxy', 'share' => 'host']); } catch (Exception $e) { all($e); }
try { new Pay88\TokenManager(options: ['api_key' => $argv[1], 'share' => 'redis://:' . $argv[2] . '@']); } catch (Exception $e) { all($e); }
try { new Pay88\TokenManager(options: ['api_key' => [$argv[1]]]); } catch (Exception $e) { all($e); }
try { new Pay88\TokenManager('x', $argv[1], 'https://user:' . $argv[2] . '@localhost'); } catch (Exception $e) { all($e); }
try { new Pay88\TokenManager(null, null, $argv[1]); } catch (Exception $e) { all($e); }
try { new Pay88\TokenManager($argv[1], options: ['api_key' => $argv[1]]); } catch (Exception $e) { all($e); }
try { $tm->rotate($argv[1] . "\0"); } catch (Exception $e) { all($e); }
try { $tm->invalidate(['access_token' => $secrets[0], 'x' => new stdClass]); $tm->invalidate(['access_token' => 7, 'was' => $secrets[0]]); } catch (Exception $e) { all($e); }
try { $tm->rotate($argv[1]); $tm->getToken(); } catch (Exception $e) { all($e); }
print_r([$tm->stats(), Pay88\events()]);
restore_error_handler();
file_put_contents($argv[3], implode("\n", $secrets));
new Pay88\TokenManager($argv[1], options: ['timeout' => 'x']);
PHP;
file_put_contents($script = "$ini.php", "<?php\n$program");
$flags = preg_replace('/^-n /', '', trim(getenv('PAY88_TEST_PHP_FLAGS')));
// The program's own arguments and the test's environment have secrets of their own, which PHP shows.
$command = 'env -u EIGHTY_EIGHT_PAY_API_KEY ' . escapeshellarg(PHP_BINARY) . " -c $ini $flags -d register_argc_argv=1 -d variables_order=";
$output = shell_exec("$command $script $new $password $ini.secrets 2>&1") . shell_exec("$command -i 2>&1") . shell_exec("$command --ri pay88 2>&1");
$secrets = array_merge(explode("\n", file_get_contents("$ini.secrets")), [$key, $new, $previous, $password]);
same(6, count($secrets));
// What PHP shows of the program's own arguments.
$output = str_replace(["[1] => $new", "[2] => $password", "'$new'", "'$password'"], '', $output);
$output = preg_replace('/\["?argv"?\].*?\n\)\n/s', '', $output);
foreach ($secrets as $secret) {
    foreach ([$secret, strrev($secret)] as $form) {
        for ($start = strlen($form) > 30 ? 20 : 4; $start + 12 <= strlen($form); $start++) {
            $at = strpos($output, substr($form, $start, 12));
            if ($at !== false) {
                echo "a piece of a secret: ", substr($output, max(0, $at - 300), 400), "\n";
                break 2;
            }
        }
    }
}
same(3, substr_count($output, 'pay88.api_key => set => set'), 'shown as set');
same(3, substr_count($output, 'pay88.timeout => 20 => 20'));
holds(substr_count($output, 'SensitiveParameterValue') >= 6, 'traces with arguments');
holds(str_contains($output, 'PHP Fatal error:  Uncaught Pay88\Exception\ConfigInvalidException'), 'the last one ends the program');
holds(str_contains($output, '["pay88.timeout"]=>
  string(2) "21"'), 'sections are shown');
holds(strlen($output) > 50000);
array_map('unlink', [$ini, $script, "$ini.secrets"]);
echo "done\n";
?>
--EXPECT--
done
