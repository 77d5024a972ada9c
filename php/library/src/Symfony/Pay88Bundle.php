<?php

declare(strict_types=1);

namespace Pay88\Symfony;

use Pay88\Http\Handler;
use Pay88\Log\EventLogger;
use Pay88\TokenManager;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Extension\ExtensionInterface;
use Symfony\Component\DependencyInjection\Reference;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/**
 * TokenManager, Handler and EventLogger as services of Symfony, to be autowired.
 *
 * config/packages/pay88.yaml has pay88's options; what is not there comes from php.ini and the environment, .env included:
 *
 *     pay88:
 *         api_key: '%env(EIGHTY_EIGHT_PAY_API_KEY)%'
 */
final class Pay88Bundle extends Bundle
{
    public function getContainerExtension(): ?ExtensionInterface
    {
        return new class () extends Extension {
            public function getAlias(): string
            {
                return 'pay88';
            }

            /** @param list<array<string, mixed>> $configs */
            public function load(array $configs, ContainerBuilder $container): void
            {
                $container->register(TokenManager::class)->setArguments([null, null, null, array_merge(...$configs)]);
                $container->register(Handler::class)->addArgument(new Reference(TokenManager::class));
                $container->register(EventLogger::class)->addArgument(new Reference('logger'));
            }
        };
    }
}
