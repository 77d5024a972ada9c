--TEST--
The end of a program: in destructors and shutdown functions the manager works as before, also after a fatal error; 40 programs in a row need one token
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
Sandbox::begin();

$use = '
    final class Late
    {
        public function __construct(private Pay88\TokenManager $tm) {}
        public function __destruct() { echo count($this->tm->getToken()), $this->tm->request("GET", "/api/echo")->status(), "|"; }
    }
    $tm = new Pay88\TokenManager;
';
[$status, $output] = run($use . '
    register_shutdown_function(function () use ($tm) { echo "shutdown ", $tm->request("GET", "/api/echo")->status(), "|"; });
    $late = new Late($tm);
    $circle = new stdClass;
    $circle->self = $circle;
    $circle->late = new Late($tm);
    $kept = $tm->request("GET", "/api/echo");
');
same([0, 'shutdown 200|3200|3200|'], [$status, $output]);

[$status, $output] = run($use . '
    ini_set("display_errors", 0);
    register_shutdown_function(function () use ($tm) { echo "shutdown ", $tm->request("GET", "/api/echo")->status(), "|"; });
    $late = new Late($tm);
    undefined();
', [], ['PAY88_TEST_END' => 'fatal']);
same([255, 'shutdown 200|3200|'], [$status, $output]);

[$status, $output] = run($use . '
    ini_set("display_errors", 0);
    register_shutdown_function(function () use ($tm) { echo "shutdown ", $tm->request("GET", "/api/echo")->status(), "|"; });
    ini_set("memory_limit", "8M");
    $tm->request("GET", "/api/bytes/12000000")->body();
', [], ['PAY88_TEST_END' => 'fatal']);
if (getenv('USE_ZEND_ALLOC') !== '0') {
    same([255, 'shutdown 200|'], [$status, $output]);
}

[$status, $output] = run($use . '
    set_exception_handler(function ($e) use ($tm) { echo get_class($e), " ", $tm->request("GET", "/api/echo")->status(); });
    $tm->getToken(-1);
', [], ['PAY88_TEST_END' => 'fatal']);
same(['Pay88\Exception\ConfigInvalidException 200'], [$output]);

// A token of its own, which is new when they begin.
Sandbox::begin();
for ($i = 0; $i < (getenv('PAY88_TEST_SLOW') ? 4 : 40); $i++) {
    [$status, $output] = run('echo count((new Pay88\TokenManager)->getToken());');
    same([0, '3'], [$status, $output]);
}
same(1, Sandbox::tokensIssued());
echo "done\n";
?>
--EXPECT--
done
