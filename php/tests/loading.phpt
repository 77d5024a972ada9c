--TEST--
Loading the extension starts no thread and opens no descriptor; the library is found beside it, also through a symbolic link
--FILE--
<?php
require __DIR__ . '/sandbox.inc';
$look = 'echo count(scandir("/proc/self/task")), " ", count(scandir("/proc/self/fd"));';
$flags = explode(' ', trim(getenv('PAY88_TEST_PHP_FLAGS')));
$extension = null;
foreach ($flags as $flag) {
    if (str_ends_with($flag, 'pay88.so')) {
        $extension = substr($flag, strlen('extension='));
    }
}
exec(escapeshellarg(PHP_BINARY) . ' -n -r ' . escapeshellarg($look), $without);
exec(escapeshellarg(PHP_BINARY) . ' -n -d extension=' . escapeshellarg($extension) . ' -r ' . escapeshellarg($look), $with);
same($without, $with);

$directory = sys_get_temp_dir() . '/pay88-' . getmypid();
mkdir($directory);
symlink($extension, "$directory/other.so");
$show = 'echo (new Pay88\TokenManager())->managerId();';
exec(escapeshellarg(PHP_BINARY) . " -n -d extension=$directory/other.so -r " . escapeshellarg($show), $linked);
same(['1'], $linked);

// Without the library PHP goes on, and the constructor says why it cannot.
copy($extension, "$directory/pay88.so");
$program = <<<'PHP'
try {
    new Pay88\TokenManager();
} catch (Pay88\Exception\InternalException $e) {
    echo $e->getMessage(), "|", $e->outcome();
}
try {
    Pay88\events();
} catch (Pay88\Exception\InternalException $e) {
    echo "|", $e->errorCode();
}
PHP;
exec(escapeshellarg(PHP_BINARY) . " -n -d display_errors=stderr -d extension=$directory/pay88.so -r " . escapeshellarg($program) . ' 2>&1', $missing);
$sentence = "libpay88.so.0 is missing in $directory: it belongs beside the extension; install pay88 again.";
same(1, substr_count(implode("\n", $missing), "PHP Startup: $sentence"), implode("\n", $missing));
same("$sentence|not_sent|internal", end($missing));

// One that the process has already is used, wherever it comes from; not if its ABI is another.
$library = dirname($extension) . '/libpay88.so.0';
copy($library, "$directory/libpay88.so.0");
$loaded = fn (string $library) => shell_exec('LD_PRELOAD="' . getenv('LD_PRELOAD') . " $library\" " . escapeshellarg(PHP_BINARY) . " -n -d display_errors=stderr -d extension=$extension --ri pay88 2>&1");
holds(str_contains($loaded("$directory/libpay88.so.0"), "Loaded from => $directory/libpay88.so.0"));
holds(str_contains($loaded(''), "Loaded from => " . realpath($library)));
file_put_contents("$directory/other.c", 'unsigned pay88_abi_version(void) { return 2 << 16; }');
exec("cc -shared -fPIC -Wl,-soname,libpay88.so.0 -o $directory/other-abi.so $directory/other.c");
holds(str_contains($loaded("$directory/other-abi.so"), 'has ABI version 2.0, but 1.0 or a later 1.x is needed'));
file_put_contents("$directory/other.c", 'unsigned pay88_abi_version(void) { return 1 << 16; }');
exec("cc -shared -fPIC -Wl,-soname,libpay88.so.0 -o $directory/other-abi.so $directory/other.c");
holds(str_contains($loaded("$directory/other-abi.so"), 'has no function pay88_version'));
file_put_contents("$directory/libpay88.so.0", 'nonsense');
exec(escapeshellarg(PHP_BINARY) . " -n -d display_errors=stderr -d extension=$directory/pay88.so --ri pay88 2>&1", $broken);
holds(str_contains(implode($broken), 'libpay88.so.0 cannot be loaded: '));
exec("rm -r $directory");
echo "done\n";
?>
--EXPECT--
done
