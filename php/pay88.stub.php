<?php

/**
 * The whole API of the extension. pay88_arginfo.h is made from it by php/arginfo.sh, and never edited. Types that PHP does not
 * know stand behind @phpstan-, since gen_stub.php refuses them in @param.
 *
 * @generate-class-entries
 * @generate-legacy-arginfo 80100
 */

namespace Pay88 {

    /**
     * What happened in this process since the last call: at most the thousand events that wait, and "events_dropped" says how
     * many more there were. The first call begins to listen and returns nothing. No event holds a secret.
     *
     * "time" is in milliseconds since 1970. Later releases may have more names.
     *
     * @phpstan-return list<array{name: 'token_issued'|'token_shared'|'share_degraded'|'token_failed'|'token_invalidated'
     *     |'token_kept'|'life_short'|'pause_capped'|'key_fallback'|'key_rotated'|'call_repeated'|'call_failed'
     *     |'events_dropped', level: 'info'|'warning', time: int, manager_id: int, fields: array<string, mixed>}>
     */
    function events(): array {}

    /**
     * Holds 88Pay's token and makes authenticated calls. Objects of the same credentials share one token, in the whole process
     * and, unless the option share is "process", with all processes of this user on this host. Manager, token and connections
     * outlive the object and the request of php-fpm.
     *
     * @strict-properties
     * @not-serializable
     */
    final class TokenManager
    {
        /**
         * What is null comes from the options, then from php.ini (pay88.<option>), then from the environment
         * (EIGHTY_EIGHT_PAY_<OPTION>, in $_ENV, $_SERVER or that of the process). So does false, which is what getenv() has
         * for a variable that is not set.
         *
         * @phpstan-param array{api_key?: string|null, merchant_id?: string|null, base_url?: string|null,
         *     previous_api_key?: string|null, timeout?: float|int|string|null, connect_timeout?: float|int|string|null,
         *     ca_bundle?: string|null, proxy?: string|null, share?: string|null, safety_margin?: float|int|string|null,
         *     tokens_per_minute?: int|string|null, tokens_per_hour?: int|string|null, max_response_bytes?: int|string|null,
         *     idle_timeout?: float|int|string|null, max_connections?: int|string|null,
         *     user_agent_suffix?: string|null} $options times in seconds; `pay88 token --help` says what each does
         * @throws Exception\ConfigInvalidException
         */
        public function __construct(
            #[\SensitiveParameter] string|false|null $apiKey = null,
            #[\SensitiveParameter] string|false|null $merchantId = null,
            #[\SensitiveParameter] string|false|null $baseUrl = null,
            #[\SensitiveParameter] array $options = []
        ) {}

        /**
         * The token: the cached one at once, else it waits for a new one. However many processes wait, one is asked for.
         *
         * @phpstan-param float|null $timeout seconds; the option "timeout" unless given
         * @phpstan-return array{access_token: string, session_id: string, expires_in: int}
         * @throws Exception\Pay88Exception
         */
        public function getToken(?float $timeout = null): array {}

        /**
         * The cached token, or null if there is none that is valid. Never waits.
         *
         * @phpstan-return array{access_token: string, session_id: string, expires_in: int}|null
         * @throws Exception\Pay88Exception
         */
        public function peekToken(): ?array {}

        /**
         * Makes an authenticated call and returns the decoded answer, whatever its status: 88Pay's envelope with "status",
         * "code", "message" and "data". Throws BadResponseException, which has the status, if the answer is no JSON.
         *
         * @phpstan-param array|object|null $body sent as JSON
         * @throws Exception\Pay88Exception whose outcome() says whether the request can have reached 88Pay
         */
        public function makeRequest(string $endpoint, string $method = 'GET', array|object|null $body = null): mixed {}

        /**
         * Makes an authenticated call and returns the answer, whatever its status. The options:
         *
         * json            what is sent as JSON
         * body            what is sent as it is, a string; as application/json unless a header says otherwise
         * headers         by name, each a string or a list of strings
         * params          for the query, by name: strings, numbers, true and false, backed enums; null leaves a parameter out,
         *                 a list repeats it
         * timeout         seconds for the whole call, waiting for a token included; the option "timeout" unless given
         * safe_to_repeat  whether sending it twice does no harm, so that it is repeated after a fault; never for a charge
         *
         * @phpstan-param array{json?: mixed, body?: string|null, headers?: array<string, string|list<string>>|null,
         *     params?: array<string, mixed>|null, timeout?: float|int|null, safe_to_repeat?: bool} $options
         * @throws Exception\Pay88Exception whose outcome() says whether the request can have reached 88Pay
         */
        public function request(string $method, string $endpoint, array $options = []): Response {}

        /**
         * What the manager has done so far, such as "tokens_issued" and "calls"; times in seconds. Holds no secret.
         *
         * @phpstan-return array<string, mixed>
         * @throws Exception\Pay88Exception
         */
        public function stats(): array {}

        /**
         * Drops the cached token, for example when another program has revoked it; says whether there was one. With a token,
         * only if it is still that one.
         *
         * @phpstan-param array{access_token: string}|null $token
         * @throws Exception\RateLimitedException if that was done too often lately: the token stays then
         */
        public function invalidate(#[\SensitiveParameter] ?array $token = null): bool {}

        /**
         * Replaces the API key, for all who use this manager in the process. With keepOld the old key is used for up to 24 hours
         * while 88Pay does not accept the new one.
         *
         * @throws Exception\ConfigInvalidException
         */
        public function rotate(#[\SensitiveParameter] string $apiKey, bool $keepOld = true): void {}

        /** Ends what is pending on this object and refuses later calls. Other objects of the same manager go on. */
        public function close(): void {}

        public function isClosed(): bool {}

        /** The number of the manager behind this object: equal numbers mean the same manager of this process. */
        public function managerId(): int {}

        /** The normalised base URL. */
        public function baseUrl(): string {}

        public function merchantId(): string {}
    }

    /**
     * An answer of 88Pay, of any HTTP status.
     *
     * @strict-properties
     * @not-serializable
     */
    final class Response
    {
        private function __construct() {}

        /** The HTTP status. */
        public function status(): int {}

        /** Whether the status is below 400. */
        public function ok(): bool {}

        /**
         * The headers: their values by their names in lower case.
         *
         * @phpstan-return array<string, list<string>>
         */
        public function headers(): array {}

        /** The values of a header, joined by a comma; null if there is none. The name may have any case of letters. */
        public function header(string $name): ?string {}

        /** The body, as it came. */
        public function body(): string {}

        /**
         * The body decoded as JSON.
         *
         * @phpstan-param int $flags those of json_decode()
         * @throws Exception\BadResponseException if it is none
         */
        public function json(int $flags = JSON_OBJECT_AS_ARRAY): mixed {}

        /**
         * Throws an HttpException, whose response() this is, if the status is 400 or above; else returns the answer.
         *
         * @throws Exception\HttpException
         */
        public function raiseForStatus(): Response {}
    }
}

namespace Pay88\Exception {

    /**
     * What went wrong, and whether a request can have reached 88Pay. Each code has a subclass. Holds no secret.
     *
     * A program can make one from a message, for example new RateLimitedException('Later.', retryAfter: 60) in a mock. What is
     * not given is what such an error has most often; retryable() is true only where nothing was sent.
     */
    class Pay88Exception extends \RuntimeException
    {
        private ?string $errorCode = null;
        private ?string $outcome = null;
        private string $hint = "";
        private ?int $httpStatus = null;
        private ?float $retryAfter = null;
        private ?bool $retryable = null;
        private ?int $attempt = null;
        private ?\Pay88\Response $response = null;

        public function __construct(
            string $message = "",
            int $code = 0,
            ?\Throwable $previous = null,
            string $hint = "",
            ?string $outcome = null,
            ?int $httpStatus = null,
            ?float $retryAfter = null,
            ?bool $retryable = null,
            ?int $attempt = null,
            ?\Pay88\Response $response = null
        ) {}

        /** Such as "rate_limited"; the same in all languages. getCode() has its number in pay88.h. */
        public function errorCode(): string {}

        /**
         * "not_sent": safe to repeat; "unknown": it may have arrived, look it up and do not repeat it; "answered": a complete
         * answer came.
         */
        public function outcome(): string {}

        /** What to do about it. */
        public function hint(): string {}

        /** The HTTP status that caused it. */
        public function httpStatus(): ?int {}

        /** Seconds to wait before the next try makes sense. */
        public function retryAfter(): ?float {}

        /** Whether the same call may be tried again later and can then succeed. */
        public function retryable(): bool {}

        /** The number of the token refresh that failed: all who waited for it get the same. */
        public function attempt(): ?int {}

        /** The answer of an HttpException, and of a call whose answer came as it was given up. */
        public function response(): ?\Pay88\Response {}
    }

    /** An option, credential or argument cannot be used; nothing was sent. Also thrown once the manager is closed. */
    class ConfigInvalidException extends Pay88Exception {}

    /** An endpoint or header would endanger the token; nothing was sent. */
    class RefusedException extends Pay88Exception {}

    /** The token endpoint answered 401: wrong API key or merchant ID. */
    class CredentialsRejectedException extends Pay88Exception {}

    /** The token endpoint answered 403: account or address not allowed. */
    class AccessDeniedException extends Pay88Exception {}

    /**
     * No new token is allowed now: the token endpoint answered 429, or the limits that are counted here are used up. Has
     * retryAfter().
     */
    class RateLimitedException extends Pay88Exception {}

    /** The time limit passed before there was a result. */
    class TimeoutException extends Pay88Exception {}

    /** The caller gave up, or the manager was closed while the call was pending. */
    class CanceledException extends Pay88Exception {}

    /** No connection could be made, or it was cut. */
    class ConnectionFailedException extends Pay88Exception {}

    /** The TLS handshake failed, or the certificate was not accepted. */
    class TlsFailedException extends Pay88Exception {}

    /** The answer is not as 88Pay documents it, was cut, or is too large. */
    class BadResponseException extends Pay88Exception {}

    /**
     * The answer has an HTTP status of 400 or above, and the caller asked for an error. That was raiseForStatus();
     * response() is the answer.
     */
    class HttpException extends Pay88Exception {}

    /**
     * The library has a fault (please report it), or the system gave no thread, descriptor or memory. The hint says which.
     */
    class InternalException extends Pay88Exception {}

    /** The call was begun before a fork, in the parent process. */
    class ForkedException extends Pay88Exception {}
}
