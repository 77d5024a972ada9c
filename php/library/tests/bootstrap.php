<?php

declare(strict_types=1);

// Debian's packages, each with an autoloader of its own; that of the library is made by Composer from its composer.json.
$packages = [
    'GuzzleHttp', 'Nyholm/Psr7', 'Psr/Log',
    'Symfony/Component/HttpKernel', 'Symfony/Component/DependencyInjection',
    'Illuminate/Support', 'Illuminate/Container', 'Illuminate/Config',
];
foreach ($packages as $package) {
    require_once "$package/autoload.php";
}
require_once getenv('PAY88_TEST_AUTOLOAD') ?: throw new RuntimeException('Run it by php/library/test.sh.');
require_once __DIR__ . '/SandboxTestCase.php';
