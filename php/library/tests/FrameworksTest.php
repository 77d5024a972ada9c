<?php

declare(strict_types=1);

namespace Pay88\Tests;

use GuzzleHttp\Psr7\Request;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Pay88\Http\Handler;
use Pay88\Laravel\Pay88ServiceProvider;
use Pay88\Log\EventLogger;
use Pay88\Symfony\Pay88Bundle;
use Pay88\TokenManager;
use Psr\Log\LoggerInterface;
use Psr\Log\NullLogger;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\DependencyInjection\MergeExtensionConfigurationPass;

final class FrameworksTest extends SandboxTestCase
{
    private const OPTIONS = ['merchant_id' => 'MCH-COL-FRAMEWORK', 'share' => 'process'];

    public function testTheServiceProviderOfLaravel(): void
    {
        $composer = json_decode((string) file_get_contents(__DIR__ . '/../composer.json'), true);
        self::assertSame([Pay88ServiceProvider::class], $composer['extra']['laravel']['providers']);

        $app = new Container();
        $app->instance('config', new Repository(['services' => ['pay88' => self::OPTIONS]]));
        $app->instance(LoggerInterface::class, new NullLogger());
        $provider = new Pay88ServiceProvider($app);
        $provider->register();
        foreach ($provider->provides() as $name) {
            self::assertInstanceOf($name, $app->make($name));
            self::assertSame($app->make($name), $app->make($name));
        }
        self::assertSame('MCH-COL-FRAMEWORK', $app->make(TokenManager::class)->merchantId());

        // Without settings everything comes from the environment.
        $app = new Container();
        $app->instance('config', new Repository());
        (new Pay88ServiceProvider($app))->register();
        self::assertSame(200, $app->make(Handler::class)->sendRequest(new Request('GET', '/api/echo'))->getStatusCode());
    }

    public function testTheBundleOfSymfony(): void
    {
        $merchant = static function (array $configs): string {
            $container = self::symfony($configs);
            foreach ([TokenManager::class, Handler::class, EventLogger::class] as $name) {
                self::assertInstanceOf($name, $container->get($name));
                self::assertSame($container->get($name), $container->get($name));
            }
            self::assertSame(200, $container->get(Handler::class)->sendRequest(new Request('GET', '/api/echo'))->getStatusCode());
            return $container->get(TokenManager::class)->merchantId();
        };
        self::assertSame(getenv('EIGHTY_EIGHT_PAY_MERCHANT_ID'), $merchant([]));

        $_ENV['PAY88_TEST_MERCHANT'] = 'MCH-COL-SYMFONY';
        self::control('POST', '/keys', ['merchant_id' => 'MCH-COL-SYMFONY', 'key' => 'sk_test_sandbox_symfony']);
        self::assertSame('MCH-COL-SYMFONY', $merchant([
            ['merchant_id' => 'overridden', 'api_key' => 'sk_test_sandbox_symfony'],
            ['merchant_id' => '%env(PAY88_TEST_MERCHANT)%', 'share' => 'process'],
        ]));
    }

    /** What a kernel makes of the bundle and its configuration. */
    private static function symfony(array $configs): ContainerBuilder
    {
        $bundle = new Pay88Bundle();
        $extension = $bundle->getContainerExtension();
        $container = new ContainerBuilder();
        $container->registerExtension($extension);
        foreach ($configs as $config) {
            $container->loadFromExtension('pay88', $config);
        }
        $container->register('logger', NullLogger::class);
        $bundle->build($container);
        $container->getCompilerPassConfig()->setMergePass(new MergeExtensionConfigurationPass(['pay88']));
        // Services are private as a rule, and those that nobody uses are removed.
        $container->addCompilerPass(new class () implements \Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface {
            public function process(ContainerBuilder $container): void
            {
                foreach ($container->getDefinitions() as $definition) {
                    $definition->setPublic(true);
                }
            }
        });
        $container->compile(true);
        return $container;
    }
}
