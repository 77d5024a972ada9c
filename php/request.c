#include "php_pay88.h"

#include "zend_enum.h"
#include "zend_smart_str.h"

#include "errors.h"
#include "json.h"
#include "library.h"
#include "request.h"

/* What other clients call an option of these, or have beside them. */
static const struct {
	const char *name, *hint;
} not_here[] = {
	{"verify", "Certificates are always verified; to trust another authority, set the option ca_bundle of the manager."},
	{"cert", "88Pay does not ask for client certificates; leave it out."},
	{"ssl_key", "88Pay does not ask for client certificates; leave it out."},
	{"allow_redirects", "Redirects are never followed, since they could carry the token elsewhere; look at header('location')."},
	{"auth", "The manager authenticates the call itself; leave it out."},
	{"proxy", "Set the option proxy of the manager, or HTTPS_PROXY in the environment."},
	{"stream", "Answers are read to their end, up to the option max_response_bytes of the manager; leave it out."},
	{"sink", "Answers are read to their end, up to the option max_response_bytes of the manager; leave it out."},
	{"cookies", "88Pay uses no cookies and none are kept; leave it out."},
	{"query", "Pass it as params."},
	{"form_params", "88Pay takes JSON: pass json; for a form pass body with a Content-Type header."},
	{"multipart", "88Pay takes JSON: pass json; for a form pass body with a Content-Type header."},
	{"http_errors", "Answers of any status are returned; raiseForStatus() of the response throws."},
	{"connect_timeout", "Set the option connect_timeout of the manager; timeout is for the whole call."},
	{"curl", "Connections are the library's, so that none leads elsewhere: use the options proxy and ca_bundle of the manager."},
};

#define NAMES "json, body, headers, params, timeout, safe_to_repeat"

/* Whether that is the name, to its end: a NUL in it ends nothing. */
static bool is(const zend_string *name, const char *known)
{
	return ZSTR_LEN(name) == strlen(known) && !memcmp(ZSTR_VAL(name), known, ZSTR_LEN(name));
}

static void refuse_name(const zend_string *name)
{
	const char *hint = "The options are " NAMES ".";
	for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++) {
		if (is(name, not_here[i].name)) {
			hint = not_here[i].hint;
		}
	}
	zend_string *shown = errors_shown(name);
	errors_throw_not_sent(PAY88_CONFIG_INVALID, hint, "request() does not take the option %s.", ZSTR_VAL(shown));
	zend_string_release(shown);
}

static void refuse_type(const char *argument, const char *wanted, const zval *value)
{
	/* Not shown: it may be a secret. */
	errors_throw_not_sent(PAY88_CONFIG_INVALID, NULL, "The option %s must be %s, not %s.", argument, wanted,
		zend_zval_type_name(value));
}

bool request_milliseconds(double seconds, uint64_t *milliseconds)
{
	if (!(seconds > 0)) {
		errors_throw_not_sent(PAY88_CONFIG_INVALID, "Pass the seconds that the whole call may take.",
			"The timeout must be above 0.");
		return false;
	}
	/* The library refuses what is too long. */
	*milliseconds = seconds > 1e9 ? (uint64_t)1e12 : (uint64_t)ceil(seconds * 1000);
	return true;
}

static void add(struct text_pairs *pairs, zend_string *name, zend_string *value)
{
	if (pairs->count == pairs->capacity) {
		pairs->capacity = pairs->capacity ? 2 * pairs->capacity : 8;
		pairs->pairs = safe_erealloc(pairs->pairs, pairs->capacity, sizeof *pairs->pairs, 0);
	}
	pairs->pairs[pairs->count++] = (struct text_pair){name, value};
}

static void release_pairs(struct text_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		zend_string_release(pairs->pairs[i].name);
		zend_string_release(pairs->pairs[i].value);
	}
	if (pairs->pairs) {
		efree(pairs->pairs);
	}
}

void request_release_parts(struct request_parts *parts)
{
	if (parts->body) {
		zend_string_release(parts->body);
	}
	release_pairs(&parts->headers);
	release_pairs(&parts->params);
}

/* Adds a value of a name. False if an exception was thrown. */
typedef bool (*adder)(struct text_pairs *pairs, zend_string *name, zval *value);

static bool add_header(struct text_pairs *headers, zend_string *name, zval *value)
{
	if (Z_TYPE_P(value) != IS_STRING) {
		errors_throw_type("header", name, value, "Pass a string or a list of strings.");
		return false;
	}
	add(headers, zend_string_copy(name), zend_string_copy(Z_STR_P(value)));
	return true;
}

static void refuse_number(const zend_string *name)
{
	zend_string *shown = errors_shown(name);
	errors_throw_not_sent(PAY88_CONFIG_INVALID, "A number that is infinite or not a number cannot be sent.",
		"The parameter %s is no number that can be sent.", ZSTR_VAL(shown));
	zend_string_release(shown);
}

/* The text of a parameter: what the value says. NULL if an exception was thrown. */
static zend_string *text_of(zend_string *name, zval *value)
{
	if (Z_TYPE_P(value) == IS_OBJECT && (Z_OBJCE_P(value)->ce_flags & ZEND_ACC_ENUM)
		&& Z_OBJCE_P(value)->enum_backing_type != IS_UNDEF) {
		value = zend_enum_fetch_case_value(Z_OBJ_P(value));
	}
	switch (Z_TYPE_P(value)) {
	case IS_STRING:
		return zend_string_copy(Z_STR_P(value));
	case IS_LONG:
		return zend_long_to_str(Z_LVAL_P(value));
	case IS_TRUE:
		return zend_string_init("true", strlen("true"), false);
	case IS_FALSE:
		return zend_string_init("false", strlen("false"), false);
	case IS_DOUBLE:
		if (zend_finite(Z_DVAL_P(value))) {
			smart_str digits = {0};
			smart_str_append_double(&digits, Z_DVAL_P(value), -1, false);
			return smart_str_extract(&digits);
		}
		refuse_number(name);
		return NULL;
	default:
		errors_throw_type("parameter", name, value, "Pass the text that is to be sent, as a string.");
		return NULL;
	}
}

static bool add_param(struct text_pairs *params, zend_string *name, zval *value)
{
	zend_string *text = Z_TYPE_P(value) == IS_NULL ? NULL : text_of(name, value);
	if (text) {
		add(params, zend_string_copy(name), text);
	}
	return !EG(exception);
}

/* Values by their names, each one or a list of them. False if an exception was thrown. */
static bool read_pairs(struct text_pairs *pairs, HashTable *given, adder add_value)
{
	zend_ulong number;
	zend_string *key;
	zval *value, *one;
	ZEND_HASH_FOREACH_KEY_VAL(given, number, key, value) {
		ZVAL_DEREF(value);
		/* PHP makes a number of a name that consists of digits. */
		zend_string *name = key ? zend_string_copy(key) : zend_long_to_str((zend_long)number);
		bool done = true;
		if (Z_TYPE_P(value) != IS_ARRAY) {
			done = add_value(pairs, name, value);
		} else {
			ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(value), one) {
				ZVAL_DEREF(one);
				done = add_value(pairs, name, one);
				if (!done) {
					break;
				}
			} ZEND_HASH_FOREACH_END();
		}
		zend_string_release(name);
		if (!done) {
			return false;
		}
	} ZEND_HASH_FOREACH_END();
	return true;
}

static bool read_array(struct text_pairs *pairs, const char *option, const zval *value, adder add_value)
{
	if (Z_TYPE_P(value) == IS_ARRAY) {
		return read_pairs(pairs, Z_ARRVAL_P(value), add_value);
	}
	if (Z_TYPE_P(value) != IS_NULL) {
		refuse_type(option, "an array", value);
	}
	return !EG(exception);
}

static bool read_body(struct request_parts *parts, const zend_string *name, zval *value)
{
	if (parts->body) {
		errors_throw_not_sent(PAY88_CONFIG_INVALID, "Pass json or body, not both.", "Both json and body are given.");
		return false;
	}
	if (is(name, "json")) {
		/* Held, since jsonSerialize() of the program may change what a reference of the array refers to. */
		zval held;
		ZVAL_COPY(&held, value);
		parts->body = json_encode(&held, "option json");
		zval_ptr_dtor(&held);
		return parts->body != NULL;
	}
	if (Z_TYPE_P(value) != IS_STRING) {
		errors_throw_not_sent(PAY88_CONFIG_INVALID, "Pass what is to be JSON as json.", "The option body must be a string, not %s.",
			zend_zval_type_name(value));
		return false;
	}
	parts->body = zend_string_copy(Z_STR_P(value));
	return true;
}

static bool read_option(struct request_parts *parts, const zend_string *name, zval *value)
{
	if (is(name, "json")) {
		return read_body(parts, name, value);
	}
	if (is(name, "body")) {
		return Z_TYPE_P(value) == IS_NULL || read_body(parts, name, value);
	}
	if (is(name, "headers")) {
		if (Z_TYPE_P(value) == IS_ARRAY && zend_hash_num_elements(Z_ARRVAL_P(value)) && zend_array_is_list(Z_ARRVAL_P(value))) {
			errors_throw_not_sent(PAY88_CONFIG_INVALID, "Pass headers by name: ['X-Shop' => '7'].",
				"A header has a number instead of a name.");
			return false;
		}
		return read_array(&parts->headers, "headers", value, add_header);
	}
	if (is(name, "params")) {
		return read_array(&parts->params, "params", value, add_param);
	}
	if (is(name, "timeout")) {
		if (Z_TYPE_P(value) == IS_LONG || Z_TYPE_P(value) == IS_DOUBLE) {
			return request_milliseconds(zval_get_double(value), &parts->timeout_ms);
		}
		if (Z_TYPE_P(value) != IS_NULL) {
			refuse_type("timeout", "a number of seconds", value);
		}
		return !EG(exception);
	}
	if (is(name, "safe_to_repeat")) {
		if (Z_TYPE_P(value) != IS_TRUE && Z_TYPE_P(value) != IS_FALSE) {
			refuse_type("safe_to_repeat", "true or false", value);
			return false;
		}
		parts->safe_to_repeat = Z_TYPE_P(value) == IS_TRUE;
		return true;
	}
	refuse_name(name);
	return false;
}

bool request_read_options(struct request_parts *parts, HashTable *options)
{
	zend_string *name;
	zval *value;
	ZEND_HASH_FOREACH_STR_KEY_VAL(options, name, value) {
		ZVAL_DEREF(value);
		if (!name) {
			errors_throw_not_sent(PAY88_CONFIG_INVALID, "The options are " NAMES ".", "An option has a number instead of a name.");
			return false;
		}
		if (!read_option(parts, name, value)) {
			return false;
		}
	} ZEND_HASH_FOREACH_END();
	return true;
}

pay88_request *request_build(const struct request_parts *parts, zend_string *method, zend_string *endpoint)
{
	pay88_request *request = NULL;
	pay88_error *error = NULL;
	libpay88.request_new(ZSTR_VAL(method), ZSTR_LEN(method), ZSTR_VAL(endpoint), ZSTR_LEN(endpoint), &request, &error);
	for (size_t i = 0; !error && i < parts->headers.count; i++) {
		const struct text_pair *header = &parts->headers.pairs[i];
		libpay88.request_add_header(request, ZSTR_VAL(header->name), ZSTR_LEN(header->name), ZSTR_VAL(header->value),
			ZSTR_LEN(header->value), &error);
	}
	for (size_t i = 0; !error && i < parts->params.count; i++) {
		const struct text_pair *param = &parts->params.pairs[i];
		libpay88.request_add_param(request, ZSTR_VAL(param->name), ZSTR_LEN(param->name), ZSTR_VAL(param->value),
			ZSTR_LEN(param->value), &error);
	}
	if (!error && parts->body) {
		libpay88.request_set_body(request, (const uint8_t *)ZSTR_VAL(parts->body), ZSTR_LEN(parts->body), &error);
	}
	if (!error) {
		libpay88.request_set_timeout_ms(request, parts->timeout_ms, &error);
	}
	if (!error) {
		libpay88.request_set_safe_to_repeat(request, parts->safe_to_repeat, &error);
	}
	if (error) {
		libpay88.request_release(request);
		errors_throw(error);
		return NULL;
	}
	return request;
}
