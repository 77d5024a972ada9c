/* The module: what its files have in common. */
#ifndef PHP_PAY88_H
#define PHP_PAY88_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "php.h"

#include "pay88.h"

#include "options.h"

extern zend_module_entry pay88_module_entry;
/* That of the library that it belongs to; tests/ compare it. */
#define PHP_PAY88_VERSION "0.1.0"

#define phpext_pay88_ptr &pay88_module_entry

/* What belongs to a thread of PHP. */
ZEND_BEGIN_MODULE_GLOBALS(pay88)
	/* Secret options that hold for the present request alone (php_admin_value of Apache, sections of php.ini), not NULL
	 * where they are given. */
	zend_string *secrets_of_request[OPTION_COUNT];
ZEND_END_MODULE_GLOBALS(pay88)

ZEND_EXTERN_MODULE_GLOBALS(pay88)
#define PAY88_G(v) ZEND_MODULE_GLOBALS_ACCESSOR(pay88, v)

#if defined(ZTS) && defined(COMPILE_DL_PAY88)
ZEND_TSRMLS_CACHE_EXTERN()
#endif

#endif
