<?php

declare(strict_types=1);

namespace Pay88\Laravel;

use Illuminate\Contracts\Support\DeferrableProvider;
use Illuminate\Support\ServiceProvider;
use Pay88\Http\Handler;
use Pay88\Log\EventLogger;
use Pay88\TokenManager;
use Psr\Log\LoggerInterface;

/**
 * TokenManager, Handler and EventLogger for Laravel's container, which Composer's package discovery registers.
 *
 * config/services.php has pay88's options; what is not there comes from php.ini and the environment:
 *
 *     'pay88' => ['api_key' => env('EIGHTY_EIGHT_PAY_API_KEY'), 'merchant_id' => env('EIGHTY_EIGHT_PAY_MERCHANT_ID')],
 */
final class Pay88ServiceProvider extends ServiceProvider implements DeferrableProvider
{
    public function register(): void
    {
        $this->app->singleton(
            TokenManager::class,
            static fn ($app) => new TokenManager(options: $app->make('config')->get('services.pay88') ?? [])
        );
        $this->app->singleton(Handler::class, static fn ($app) => new Handler($app->make(TokenManager::class)));
        $this->app->singleton(EventLogger::class, static fn ($app) => new EventLogger($app->make(LoggerInterface::class)));
    }

    /** @return list<class-string> */
    public function provides(): array
    {
        return [TokenManager::class, Handler::class, EventLogger::class];
    }
}
