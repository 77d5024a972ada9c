#include "php_pay88.h"

#include "php_ini.h"
#include "zend_smart_str.h"

#include "environment.h"
#include "errors.h"
#include "library.h"
#include "options.h"

/* How php.ini, its tables and functions treat an option. */
static const struct option {
	const char *name;
	/* Its name in php.ini. */
	const char *entry;
	bool secret;
} table[] = {
#define PLAIN(name) {#name, "pay88." #name, false},
#define SECRET(name) {#name, "pay88." #name, true},
	OPTIONS(PLAIN, SECRET)
#undef PLAIN
#undef SECRET
};

/* Secrets that hold for the process: of php.ini, and of a pool of php-fpm, which gives them once to each worker. PHP itself
 * never has them as the value of an entry, which phpinfo(), ini_get() and their kin would show. */
static zend_string *secrets[OPTION_COUNT];

static void forget(zend_string **secret)
{
	if (*secret) {
		ZEND_SECURE_ZERO(ZSTR_VAL(*secret), ZSTR_LEN(*secret));
		zend_string_release_ex(*secret, true);
		*secret = NULL;
	}
}

static void keep(zend_string **secret, const zend_string *value)
{
	forget(secret);
	*secret = zend_string_init(ZSTR_VAL(value), ZSTR_LEN(value), true);
}

/* Takes the value and refuses it, upon which PHP keeps none. */
static ZEND_INI_MH(take_secret)
{
	size_t option = (size_t)(uintptr_t)mh_arg1;
	if (stage == ZEND_INI_STAGE_DEACTIVATE || stage == ZEND_INI_STAGE_SHUTDOWN) {
		forget(&PAY88_G(secrets_of_request)[option]);
	} else if (!new_value) {
		/* The entry is registered, or copied for a thread: it has no value. */
	} else if (entry->modified) {
		/* For this request: PHP takes it back at its end. */
		keep(&PAY88_G(secrets_of_request)[option], new_value);
	} else {
		keep(&secrets[option], new_value);
	}
	return FAILURE;
}

static const zend_string *secret_of(size_t option)
{
	const zend_string *value = PAY88_G(secrets_of_request)[option];
	return value ? value : secrets[option];
}

static ZEND_INI_DISP(show_secret)
{
	const zend_string *value = secret_of((size_t)(uintptr_t)ini_entry->mh_arg1);
	php_printf("%s", value && ZSTR_LEN(value) ? "set" : "no value");
}

PHP_INI_BEGIN()
#define PLAIN(name) PHP_INI_ENTRY("pay88." #name, NULL, PHP_INI_SYSTEM, NULL)
#define SECRET(name) \
	ZEND_INI_ENTRY1_EX("pay88." #name, NULL, PHP_INI_SYSTEM, take_secret, (void *)(uintptr_t)OPTION_##name, show_secret)
	OPTIONS(PLAIN, SECRET)
#undef PLAIN
#undef SECRET
PHP_INI_END()

/* What PHP has read of php.ini is where get_cfg_var() finds it. */
static void blank_configuration(const char *entry)
{
	zval *value = cfg_get_entry(entry, strlen(entry));
	if (value && Z_TYPE_P(value) == IS_STRING) {
		if (!ZSTR_IS_INTERNED(Z_STR_P(value)) && Z_REFCOUNT_P(value) == 1) {
			ZEND_SECURE_ZERO(Z_STRVAL_P(value), Z_STRLEN_P(value));
		}
		zend_string_release(Z_STR_P(value));
		ZVAL_EMPTY_STRING(value);
	}
}

/* Sections of php.ini ([PATH=...], [HOST=...]) stay where PHP has read them, since it takes them from there at each request.
 * get_cfg_var() of a section's name gives all that is in it: without the secrets, by this function around it. */
static zif_handler shown_by_php;

static ZEND_FUNCTION(get_cfg_var_without_secrets)
{
	shown_by_php(INTERNAL_FUNCTION_PARAM_PASSTHRU);
	if (Z_TYPE_P(return_value) != IS_ARRAY) {
		return;
	}
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const char *entry = table[i].entry;
		if (table[i].secret && zend_hash_str_exists(Z_ARRVAL_P(return_value), entry, strlen(entry))) {
			SEPARATE_ARRAY(return_value);
			zval blank;
			ZVAL_EMPTY_STRING(&blank);
			zend_hash_str_update(Z_ARRVAL_P(return_value), entry, strlen(entry), &blank);
		}
	}
}

static void wrap_get_cfg_var(void)
{
	zend_function *function = zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("get_cfg_var"));
	if (function && function->internal_function.handler != ZEND_FN(get_cfg_var_without_secrets)) {
		shown_by_php = function->internal_function.handler;
		function->internal_function.handler = ZEND_FN(get_cfg_var_without_secrets);
	}
}

void options_register(int type, int module_number)
{
	REGISTER_INI_ENTRIES();
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (table[i].secret) {
			blank_configuration(table[i].entry);
		}
	}
	wrap_get_cfg_var();
}

void options_unregister(int type, int module_number)
{
	UNREGISTER_INI_ENTRIES();
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		forget(&secrets[i]);
	}
}

static bool set(pay88_config *config, const char *name, size_t name_length, const char *value, size_t length)
{
	pay88_error *error = NULL;
	if (libpay88.config_set(config, name, name_length, value, length, &error) != PAY88_OK) {
		errors_throw(error);
		return false;
	}
	return true;
}

bool options_is_blank(const char *value, size_t length)
{
	return strspn(value, " \t\r\n\v\f") >= length;
}

/* What php.ini says, or NULL. It may hold a NUL. */
static const zend_string *ini_value(size_t option)
{
	if (table[option].secret) {
		return secret_of(option);
	}
	const zend_ini_entry *entry = zend_hash_str_find_ptr(EG(ini_directives), table[option].entry, strlen(table[option].entry));
	return entry ? entry->value : NULL;
}

static bool set_from_ini(pay88_config *config, size_t option)
{
	const zend_string *value = ini_value(option);
	if (!value || options_is_blank(ZSTR_VAL(value), ZSTR_LEN(value))) {
		return true;
	}
	return set(config, table[option].name, strlen(table[option].name), ZSTR_VAL(value), ZSTR_LEN(value));
}

zend_string *options_text(const zval *value)
{
	if (Z_TYPE_P(value) == IS_LONG) {
		return zend_long_to_str(Z_LVAL_P(value));
	}
	if (Z_TYPE_P(value) == IS_DOUBLE) {
		smart_str digits = {0};
		smart_str_append_double(&digits, Z_DVAL_P(value), -1, false);
		return smart_str_extract(&digits);
	}
	return zend_string_copy(Z_STR_P(value));
}

/* An option of the array. */
static bool set_from_array(pay88_config *config, zend_string *name, zval *value)
{
	switch (Z_TYPE_P(value)) {
	case IS_NULL:
		return true;
	case IS_STRING:
	case IS_LONG:
	case IS_DOUBLE: {
		zend_string *text = options_text(value);
		bool done = set(config, ZSTR_VAL(name), ZSTR_LEN(name), ZSTR_VAL(text), ZSTR_LEN(text));
		zend_string_release(text);
		return done;
	}
	default:
		errors_throw_type("option", name, value, "Pass a string or a number.");
		return false;
	}
}

static bool set_from_arguments(pay88_config *config, zend_string *const arguments[], HashTable *options)
{
	static const size_t which[] = {OPTION_api_key, OPTION_merchant_id, OPTION_base_url};
	for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
		const char *name = table[which[i]].name;
		if (!arguments[i]) {
			continue;
		}
		zval *also = options ? zend_hash_str_find_deref(options, name, strlen(name)) : NULL;
		if (also && Z_TYPE_P(also) != IS_NULL) {
			errors_throw_not_sent(PAY88_CONFIG_INVALID, "Pass it once.", "The %s is given twice, also as an option.", name);
			return false;
		}
		if (!set(config, name, strlen(name), ZSTR_VAL(arguments[i]), ZSTR_LEN(arguments[i]))) {
			return false;
		}
	}
	return true;
}

bool options_set(pay88_config *config, zend_string *api_key, zend_string *merchant_id, zend_string *base_url, HashTable *options)
{
	/* The latest counts. */
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (!set_from_ini(config, i)) {
			return false;
		}
	}
	zend_string *const arguments[] = {api_key, merchant_id, base_url};
	if (!set_from_arguments(config, arguments, options)) {
		return false;
	}
	if (options) {
		zend_string *name;
		zval *value;
		ZEND_HASH_FOREACH_STR_KEY_VAL(options, name, value) {
			ZVAL_DEREF(value);
			if (!name) {
				errors_throw_not_sent(PAY88_CONFIG_INVALID, "Pass options by name, such as ['timeout' => 10].",
					"An option has a number instead of a name.");
				return false;
			}
			if (!set_from_array(config, name, value)) {
				return false;
			}
		} ZEND_HASH_FOREACH_END();
	}
	return environment_give(config);
}
