#include "php_pay88.h"

#include "zend_exceptions.h"
#include "zend_interfaces.h"
#include "zend_smart_str.h"

#include "errors.h"
#include "library.h"
#include "response.h"

zend_class_entry *pay88_exception;

/* What all languages say of an error of whose request nothing else is known: tests/default_outcomes.json. */
static struct kind {
	const pay88_status status;
	const char *code;
	const char *outcome;
	/* Whether it can be told apart from a fault that stays. */
	bool transient;
	zend_class_entry *class;
} kinds[] = {
	{PAY88_CONFIG_INVALID, "config_invalid", "not_sent", false, NULL},
	{PAY88_REFUSED, "refused", "not_sent", false, NULL},
	{PAY88_CREDENTIALS_REJECTED, "credentials_rejected", "not_sent", false, NULL},
	{PAY88_ACCESS_DENIED, "access_denied", "not_sent", false, NULL},
	{PAY88_RATE_LIMITED, "rate_limited", "not_sent", true, NULL},
	{PAY88_TIMEOUT, "timeout", "unknown", true, NULL},
	{PAY88_CANCELED, "canceled", "unknown", false, NULL},
	{PAY88_CONNECTION_FAILED, "connection_failed", "unknown", true, NULL},
	{PAY88_TLS_FAILED, "tls_failed", "not_sent", false, NULL},
	{PAY88_BAD_RESPONSE, "bad_response", "unknown", false, NULL},
	{PAY88_HTTP_ERROR, "http_error", "answered", false, NULL},
	{PAY88_INTERNAL, "internal", "unknown", false, NULL},
	{PAY88_FORKED, "forked", "unknown", true, NULL},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* For Pay88Exception itself, and for a code of a later release. */
static const struct kind other = {PAY88_INTERNAL, "internal", "unknown", false, NULL};

void errors_set_class(pay88_status status, zend_class_entry *class)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].status == status) {
			kinds[i].class = class;
		}
	}
}

static zend_class_entry *class_of(pay88_status status)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].status == status) {
			return kinds[i].class;
		}
	}
	return pay88_exception;
}

/* The kind of an object, whose class may be one that a program derived. */
static const struct kind *kind_of(const zend_object *exception)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (instanceof_function(exception->ce, kinds[i].class)) {
			return &kinds[i];
		}
	}
	return &other;
}

/* Sets a property, also one that is private to PHP's own class, and gives up the value. */
static void set(zend_object *exception, const char *name, zval *value)
{
	zend_class_entry *scope = zend_hash_str_exists(&zend_ce_exception->properties_info, name, strlen(name))
		? zend_ce_exception
		: pay88_exception;
	zend_update_property(scope, exception, name, strlen(name), value);
	zval_ptr_dtor(value);
}

static void set_text(zend_object *exception, const char *name, const char *text, size_t length)
{
	zval value;
	ZVAL_STRINGL(&value, text, length);
	set(exception, name, &value);
}

static void set_long(zend_object *exception, const char *name, zend_long number)
{
	zval value;
	ZVAL_LONG(&value, number);
	set(exception, name, &value);
}

static zend_object *make(pay88_status status, const char *message, size_t length)
{
	zval made;
	if (object_init_ex(&made, class_of(status)) != SUCCESS) {
		return NULL;
	}
	zend_object *exception = Z_OBJ(made);
	set_text(exception, "message", message, length);
	set_long(exception, "code", status);
	return exception;
}

static zend_object *make_of(const pay88_error *error)
{
	pay88_status status = libpay88.error_status(error);
	pay88_str message = libpay88.error_message(error);
	zend_object *exception = make(status, message.data, message.len);
	if (exception) {
		pay88_str text = libpay88.error_name(error);
		set_text(exception, "errorCode", text.data, text.len);
		text = libpay88.outcome_name(libpay88.error_outcome(error));
		set_text(exception, "outcome", text.data, text.len);
		text = libpay88.error_hint(error);
		set_text(exception, "hint", text.data, text.len);
		zval value;
		ZVAL_BOOL(&value, libpay88.error_retryable(error));
		set(exception, "retryable", &value);
		if (libpay88.error_http_status(error)) {
			set_long(exception, "httpStatus", libpay88.error_http_status(error));
		}
		if (libpay88.error_attempt(error)) {
			set_long(exception, "attempt", (zend_long)libpay88.error_attempt(error));
		}
		int64_t retry_after = libpay88.error_retry_after_ms(error);
		if (retry_after >= 0) {
			ZVAL_DOUBLE(&value, (double)retry_after / 1000);
			set(exception, "retryAfter", &value);
		}
	}
	return exception;
}

zend_object *errors_make(pay88_error *error)
{
	zend_object *volatile exception = NULL;
	/* PHP may run out of memory. */
	zend_try {
		exception = make_of(error);
	} zend_catch {
		libpay88.error_release(error);
		zend_bailout();
	} zend_end_try();
	libpay88.error_release(error);
	return exception;
}

zend_object *errors_make_own(pay88_status status, const char *outcome, const char *message, const char *hint, zend_object *response)
{
	zend_object *exception = make(status, message, strlen(message));
	if (exception) {
		set_text(exception, "outcome", outcome, strlen(outcome));
		if (hint) {
			set_text(exception, "hint", hint, strlen(hint));
		}
		zval value;
		ZVAL_FALSE(&value);
		set(exception, "retryable", &value);
		if (response) {
			set_long(exception, "httpStatus", response_status(response));
			ZVAL_OBJ_COPY(&value, response);
			set(exception, "response", &value);
		}
	}
	return exception;
}

void errors_throw_object(zend_object *exception)
{
	if (exception) {
		zend_throw_exception_internal(exception);
	}
}

void errors_throw(pay88_error *error)
{
	errors_throw_object(errors_make(error));
}

void errors_throw_not_sent(pay88_status status, const char *hint, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	zend_string *message = zend_vstrpprintf(0, format, arguments);
	va_end(arguments);
	errors_throw_object(errors_make_own(status, "not_sent", ZSTR_VAL(message), hint, NULL));
	zend_string_release(message);
}

void errors_throw_type(const char *kind, const zend_string *name, const zval *value, const char *hint)
{
	zend_string *shown = errors_shown(name);
	errors_throw_not_sent(PAY88_CONFIG_INVALID, hint, "The %s %s is of type %s.", kind, ZSTR_VAL(shown), zend_zval_type_name(value));
	zend_string_release(shown);
}

zend_string *errors_shown(const zend_string *name)
{
	smart_str shown = {0};
	for (size_t i = 0; i < ZSTR_LEN(name); i++) {
		unsigned char c = (unsigned char)ZSTR_VAL(name)[i];
		if (c < ' ' || c == 0x7f) {
			smart_str_append_printf(&shown, "\\u{%x}", c);
		} else {
			smart_str_appendc(&shown, (char)c);
		}
	}
	return smart_str_extract(&shown);
}

bool errors_throw_library_failure(void)
{
	const char *failure = library_failure();
	if (failure) {
		errors_throw_not_sent(PAY88_INTERNAL, "The extension works with the library that was installed with it.", "%s", failure);
	}
	return failure != NULL;
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, __construct)
{
	zend_string *message = NULL, *hint = NULL, *outcome = NULL;
	zend_long code = 0, http_status = 0, attempt = 0;
	bool no_http_status = true, no_attempt = true, no_retry_after = true, retryable = false, no_retryable = true;
	double retry_after = 0;
	zval *previous = NULL, *response = NULL;
	ZEND_PARSE_PARAMETERS_START(0, 10)
		Z_PARAM_OPTIONAL
		Z_PARAM_STR(message)
		Z_PARAM_LONG(code)
		Z_PARAM_OBJECT_OF_CLASS_OR_NULL(previous, zend_ce_throwable)
		Z_PARAM_STR(hint)
		Z_PARAM_STR_OR_NULL(outcome)
		Z_PARAM_LONG_OR_NULL(http_status, no_http_status)
		Z_PARAM_DOUBLE_OR_NULL(retry_after, no_retry_after)
		Z_PARAM_BOOL_OR_NULL(retryable, no_retryable)
		Z_PARAM_LONG_OR_NULL(attempt, no_attempt)
		Z_PARAM_OBJECT_OF_CLASS_OR_NULL(response, pay88_response_class)
	ZEND_PARSE_PARAMETERS_END();
	zend_object *this = Z_OBJ_P(ZEND_THIS);
	zval value;
	if (message) {
		set_text(this, "message", ZSTR_VAL(message), ZSTR_LEN(message));
	}
	set_long(this, "code", code ? code : (zend_long)kind_of(this)->status);
	if (previous) {
		ZVAL_COPY(&value, previous);
		set(this, "previous", &value);
	}
	if (hint) {
		set_text(this, "hint", ZSTR_VAL(hint), ZSTR_LEN(hint));
	}
	if (outcome) {
		set_text(this, "outcome", ZSTR_VAL(outcome), ZSTR_LEN(outcome));
	}
	if (!no_http_status) {
		set_long(this, "httpStatus", http_status);
	} else if (response) {
		set_long(this, "httpStatus", response_status(Z_OBJ_P(response)));
	}
	if (!no_retry_after) {
		ZVAL_DOUBLE(&value, retry_after);
		set(this, "retryAfter", &value);
	}
	if (!no_retryable) {
		ZVAL_BOOL(&value, retryable);
		set(this, "retryable", &value);
	}
	if (!no_attempt) {
		set_long(this, "attempt", attempt);
	}
	if (response) {
		ZVAL_COPY(&value, response);
		set(this, "response", &value);
	}
}

static zval *get(zend_object *exception, const char *name, zval *space)
{
	return zend_read_property(pay88_exception, exception, name, strlen(name), true, space);
}

/* A property as it is. */
static void return_property(INTERNAL_FUNCTION_PARAMETERS, const char *name)
{
	ZEND_PARSE_PARAMETERS_NONE();
	zval space;
	RETURN_COPY_DEREF(get(Z_OBJ_P(ZEND_THIS), name, &space));
}

/* A property, and what the class has where it is null. */
static void return_property_or(INTERNAL_FUNCTION_PARAMETERS, const char *name, const char *otherwise)
{
	zval space, *value = get(Z_OBJ_P(ZEND_THIS), name, &space);
	if (Z_TYPE_P(value) == IS_STRING) {
		RETURN_STR_COPY(Z_STR_P(value));
	}
	RETURN_STRING(otherwise);
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, errorCode)
{
	ZEND_PARSE_PARAMETERS_NONE();
	return_property_or(INTERNAL_FUNCTION_PARAM_PASSTHRU, "errorCode", kind_of(Z_OBJ_P(ZEND_THIS))->code);
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, outcome)
{
	ZEND_PARSE_PARAMETERS_NONE();
	return_property_or(INTERNAL_FUNCTION_PARAM_PASSTHRU, "outcome", kind_of(Z_OBJ_P(ZEND_THIS))->outcome);
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, hint)
{
	return_property(INTERNAL_FUNCTION_PARAM_PASSTHRU, "hint");
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, httpStatus)
{
	return_property(INTERNAL_FUNCTION_PARAM_PASSTHRU, "httpStatus");
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, retryAfter)
{
	return_property(INTERNAL_FUNCTION_PARAM_PASSTHRU, "retryAfter");
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, retryable)
{
	ZEND_PARSE_PARAMETERS_NONE();
	zval space, *value = get(Z_OBJ_P(ZEND_THIS), "retryable", &space);
	if (Z_TYPE_P(value) != IS_NULL) {
		RETURN_COPY_DEREF(value);
	}
	const struct kind *kind = kind_of(Z_OBJ_P(ZEND_THIS));
	value = get(Z_OBJ_P(ZEND_THIS), "outcome", &space);
	bool not_sent = Z_TYPE_P(value) == IS_STRING ? zend_string_equals_literal(Z_STR_P(value), "not_sent")
						     : strcmp(kind->outcome, "not_sent") == 0;
	RETURN_BOOL(kind->transient && not_sent);
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, attempt)
{
	return_property(INTERNAL_FUNCTION_PARAM_PASSTHRU, "attempt");
}

ZEND_METHOD(Pay88_Exception_Pay88Exception, response)
{
	return_property(INTERNAL_FUNCTION_PARAM_PASSTHRU, "response");
}
