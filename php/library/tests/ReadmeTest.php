<?php

declare(strict_types=1);

namespace Pay88\Tests;

/** Every example of php/README.md runs as it stands. */
final class ReadmeTest extends SandboxTestCase
{
    private const PRINTED = [
        '/^200 [0-9a-f-]{36}\n$/',
        '/^200 application\/json \w/',
        '/^200\n$/',
        '/^200\n$/',
        '/^200\n$/',
        '/^$/',
    ];

    public static function examples(): array
    {
        preg_match_all('/^```php\n(.*?)^```/ms', (string) file_get_contents(__DIR__ . '/../../README.md'), $found);
        self::assertCount(count(self::PRINTED), $found[1]);
        return array_map(null, $found[1], self::PRINTED);
    }

    /** @dataProvider examples */
    public function testAnExampleRuns(string $code, string $printed): void
    {
        $this->expectOutputRegex($printed);
        eval($code);
    }
}
