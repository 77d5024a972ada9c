#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* environ */
#endif
#include "php_pay88.h"

#include <unistd.h>

#include "SAPI.h"

#include "environment.h"
#include "errors.h"
#include "library.h"
#include "program.h"

#define PREFIX "EIGHTY_EIGHT_PAY_"

/* What the library reads beside the variables of the options. */
static const char *const others[] = {
	"HTTPS_PROXY",
	"https_proxy",
	"ALL_PROXY",
	"all_proxy",
	"NO_PROXY",
	"no_proxy",
	"SSL_CERT_FILE",
	"SSL_CERT_DIR",
	"XDG_RUNTIME_DIR",
};
#define OTHERS (sizeof others / sizeof *others)

/* A program that is linked as most are has a copy of the C library's variable, and the copy counts: in the C library's there is
 * nothing. */
static char ***of_process;

void environment_prepare(void)
{
	of_process = program_symbol("environ", &environ);
}

static bool is_read(const char *name, size_t length)
{
	if (length > strlen(PREFIX) && !memcmp(name, PREFIX, strlen(PREFIX))) {
		return true;
	}
	for (size_t i = 0; i < OTHERS; i++) {
		if (length == strlen(others[i]) && !memcmp(name, others[i], length)) {
			return true;
		}
	}
	return false;
}

/* The latest counts; a blank one hides no other. Throws nothing, so that it can be called with a lock. */
static pay88_error *give(pay88_config *config, const char *name, size_t name_length, const char *value, size_t length)
{
	pay88_error *error = NULL;
	if (!options_is_blank(value, length)) {
		libpay88.config_set_variable(config, name, name_length, value, length, &error);
	}
	return error;
}

static pay88_error *give_process(pay88_config *config)
{
	pay88_error *error = NULL;
	tsrm_env_lock();
	for (char **variable = *of_process; !error && variable && *variable; variable++) {
		const char *sign = strchr(*variable, '=');
		if (sign && is_read(*variable, (size_t)(sign - *variable))) {
			error = give(config, *variable, (size_t)(sign - *variable), sign + 1, strlen(sign + 1));
		}
	}
	tsrm_env_unlock();
	return error;
}

static pay88_error *give_one_of_server(pay88_config *config, const char *name)
{
	char *value = sapi_getenv(name, strlen(name));
	if (!value) {
		return NULL;
	}
	pay88_error *error = give(config, name, strlen(name), value, strlen(value));
	efree(value);
	return error;
}

static pay88_error *give_server(pay88_config *config)
{
	if (!sapi_module.getenv) {
		return NULL;
	}
	static const char *const options[] = {
#define NAME(name) #name,
		OPTIONS(NAME, NAME)
#undef NAME
	};
	pay88_error *error = NULL;
	for (size_t i = 0; !error && i < OPTION_COUNT; i++) {
		char name[64] = PREFIX;
		for (size_t c = 0; options[i][c]; c++) {
			name[strlen(PREFIX) + c] = (char)toupper(options[i][c]);
		}
		error = give_one_of_server(config, name);
	}
	for (size_t i = 0; !error && i < OTHERS; i++) {
		error = give_one_of_server(config, others[i]);
	}
	return error;
}

/* The variables of an auto global; a program may have unset it, or made something else of it. */
static pay88_error *give_global(pay88_config *config, zend_string *name)
{
	/* Fills it, where that is put off until it is used. */
	zend_is_auto_global(name);
	zval *global = zend_hash_find(&EG(symbol_table), name);
	if (!global) {
		return NULL;
	}
	ZVAL_DEREF(global);
	if (Z_TYPE_P(global) != IS_ARRAY) {
		return NULL;
	}
	pay88_error *error = NULL;
	zend_string *key;
	zval *value;
	ZEND_HASH_FOREACH_STR_KEY_VAL(Z_ARRVAL_P(global), key, value) {
		ZVAL_DEREF(value);
		if (!key || !is_read(ZSTR_VAL(key), ZSTR_LEN(key))) {
			continue;
		}
		/* A number is what a program has put there. */
		if (Z_TYPE_P(value) == IS_STRING || Z_TYPE_P(value) == IS_LONG || Z_TYPE_P(value) == IS_DOUBLE) {
			zend_string *text = options_text(value);
			error = give(config, ZSTR_VAL(key), ZSTR_LEN(key), ZSTR_VAL(text), ZSTR_LEN(text));
			zend_string_release(text);
			if (error) {
				break;
			}
		}
	} ZEND_HASH_FOREACH_END();
	return error;
}

bool environment_give(pay88_config *config)
{
	/* That the environment is this one, also where it is empty. The library reads no such name. */
	pay88_error *error = give(config, ZEND_STRL("PHP_SAPI"), ZEND_STRL("is given"));
	if (!error) {
		error = give_process(config);
	}
	if (!error) {
		error = give_server(config);
	}
	if (!error) {
		error = give_global(config, ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_SERVER));
	}
	if (!error) {
		error = give_global(config, ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_ENV));
	}
	if (error) {
		errors_throw(error);
	}
	return !error;
}
