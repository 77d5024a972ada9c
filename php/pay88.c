/*
 * The PHP extension: the module.
 *
 * Promises: loading it starts no thread and opens no socket, descriptor or connection, since opcache.preload and php-fpm fork
 * afterwards; the end of a request does no I/O; the library stays loaded, since its threads may outlive PHP.
 */
#include "php_pay88.h"

#include "ext/json/php_json.h"
#include "ext/spl/spl_exceptions.h"
#include "ext/standard/info.h"
#include "zend_attributes.h"

#include "environment.h"
#include "errors.h"
#include "library.h"
#include "response.h"
#include "token_manager.h"

#include "pay88_arginfo.h"

ZEND_DECLARE_MODULE_GLOBALS(pay88)

static PHP_GINIT_FUNCTION(pay88)
{
#if defined(ZTS) && defined(COMPILE_DL_PAY88)
	ZEND_TSRMLS_CACHE_UPDATE();
#endif
	memset(pay88_globals, 0, sizeof *pay88_globals);
}

static PHP_MINIT_FUNCTION(pay88)
{
	library_load();
	environment_prepare();
	options_register(type, module_number);
	response_prepare(register_class_Pay88_Response());
	token_manager_prepare(register_class_Pay88_TokenManager());
	pay88_exception = register_class_Pay88_Exception_Pay88Exception(spl_ce_RuntimeException);
	errors_set_class(PAY88_CONFIG_INVALID, register_class_Pay88_Exception_ConfigInvalidException(pay88_exception));
	errors_set_class(PAY88_REFUSED, register_class_Pay88_Exception_RefusedException(pay88_exception));
	errors_set_class(PAY88_CREDENTIALS_REJECTED, register_class_Pay88_Exception_CredentialsRejectedException(pay88_exception));
	errors_set_class(PAY88_ACCESS_DENIED, register_class_Pay88_Exception_AccessDeniedException(pay88_exception));
	errors_set_class(PAY88_RATE_LIMITED, register_class_Pay88_Exception_RateLimitedException(pay88_exception));
	errors_set_class(PAY88_TIMEOUT, register_class_Pay88_Exception_TimeoutException(pay88_exception));
	errors_set_class(PAY88_CANCELED, register_class_Pay88_Exception_CanceledException(pay88_exception));
	errors_set_class(PAY88_CONNECTION_FAILED, register_class_Pay88_Exception_ConnectionFailedException(pay88_exception));
	errors_set_class(PAY88_TLS_FAILED, register_class_Pay88_Exception_TlsFailedException(pay88_exception));
	errors_set_class(PAY88_BAD_RESPONSE, register_class_Pay88_Exception_BadResponseException(pay88_exception));
	errors_set_class(PAY88_HTTP_ERROR, register_class_Pay88_Exception_HttpException(pay88_exception));
	errors_set_class(PAY88_INTERNAL, register_class_Pay88_Exception_InternalException(pay88_exception));
	errors_set_class(PAY88_FORKED, register_class_Pay88_Exception_ForkedException(pay88_exception));
	if (library_failure()) {
		/* Failing here would end PHP, for all that does not use the extension too. The constructor throws. */
		php_error_docref(NULL, E_CORE_WARNING, "%s", library_failure());
	}
	return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(pay88)
{
	options_unregister(type, module_number);
	return SUCCESS;
}

static PHP_RINIT_FUNCTION(pay88)
{
#if defined(ZTS) && defined(COMPILE_DL_PAY88)
	ZEND_TSRMLS_CACHE_UPDATE();
#endif
	return SUCCESS;
}

static PHP_MINFO_FUNCTION(pay88)
{
	php_info_print_table_start();
	php_info_print_table_row(2, "Extension", PHP_PAY88_VERSION);
	if (library_failure()) {
		php_info_print_table_row(2, "Library", library_failure());
	} else {
		php_info_print_table_row(2, "Library", libpay88.version());
		php_info_print_table_row(2, "Loaded from", library_path());
	}
	php_info_print_table_end();
	display_ini_entries(zend_module);
}

static const zend_module_dep dependencies[] = {
	ZEND_MOD_REQUIRED("json")
	ZEND_MOD_REQUIRED("spl")
	ZEND_MOD_END
};

zend_module_entry pay88_module_entry = {
	STANDARD_MODULE_HEADER_EX,
	NULL,
	dependencies,
	"pay88",
	ext_functions,
	PHP_MINIT(pay88),
	PHP_MSHUTDOWN(pay88),
	PHP_RINIT(pay88),
	NULL,
	PHP_MINFO(pay88),
	PHP_PAY88_VERSION,
	PHP_MODULE_GLOBALS(pay88),
	PHP_GINIT(pay88),
	NULL,
	NULL,
	STANDARD_MODULE_PROPERTIES_EX
};

#ifdef COMPILE_DL_PAY88
#ifdef ZTS
ZEND_TSRMLS_CACHE_DEFINE()
#endif
ZEND_GET_MODULE(pay88)
#endif
