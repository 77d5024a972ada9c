/*
 * The environment of a PHP program: $_ENV, $_SERVER, that of the server (FastCGI, Apache), that of the process, in this order.
 *
 * The library does not look itself: dotenv of Symfony and Laravel fills $_ENV and $_SERVER alone, and under ZTS C's getenv
 * races with putenv() of another thread, which PHP guards with a lock of its own.
 *
 * Promises: only the names that the library reads are looked at. None of them begins with HTTP_, so no client can set one.
 */
#ifndef PAY88_ENVIRONMENT_H
#define PAY88_ENVIRONMENT_H

#include "php.h"

#include "pay88.h"

/* Called in MINIT. */
void environment_prepare(void);

/* False if an exception was thrown. */
bool environment_give(pay88_config *config);

#endif
