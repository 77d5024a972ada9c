#include "php_pay88.h"

#include "zend_fibers.h"
#include "zend_smart_str.h"

#include "errors.h"
#include "json.h"

/* The deepest that json_encode() and json_decode() go unless told otherwise. */
#define DEPTH 512

static const char *reason(php_json_error_code code)
{
	switch (code) {
	case PHP_JSON_ERROR_DEPTH:
		return "it is nested too deeply";
	case PHP_JSON_ERROR_STATE_MISMATCH:
	case PHP_JSON_ERROR_SYNTAX:
		return "its syntax is wrong";
	case PHP_JSON_ERROR_CTRL_CHAR:
		return "there is a control character in it";
	case PHP_JSON_ERROR_UTF8:
	case PHP_JSON_ERROR_UTF16:
		return "a text in it is not UTF-8";
	case PHP_JSON_ERROR_RECURSION:
		return "something in it contains itself";
	case PHP_JSON_ERROR_INF_OR_NAN:
		return "a number in it is infinite or not a number";
	case PHP_JSON_ERROR_UNSUPPORTED_TYPE:
		return "there is a value in it that JSON has not, such as a resource";
	default:
		return "PHP's JSON extension refuses it";
	}
}

/* Whether a number is encoded as itself: -1 is as many digits as it needs. */
static bool has_all_digits(void)
{
	return PG(serialize_precision) < 0 || PG(serialize_precision) >= 17;
}

/* With another serialize_precision than the program's, which is back when this ends, however it does. */
static void encode_all_digits(smart_str *text, zval *value)
{
	zend_long precision = PG(serialize_precision);
	PG(serialize_precision) = -1;
	/* A fiber that is left in jsonSerialize() would leave the setting to others. */
	zend_fiber_switch_block();
	zend_try {
		php_json_encode_ex(text, value, 0, DEPTH);
	} zend_catch {
		PG(serialize_precision) = precision;
		zend_fiber_switch_unblock();
		zend_bailout();
	} zend_end_try();
	zend_fiber_switch_unblock();
	/* Unless the program has set another one meanwhile. */
	if (PG(serialize_precision) == -1) {
		PG(serialize_precision) = precision;
	}
}

zend_string *json_encode(zval *value, const char *argument)
{
	smart_str text = {0};
	php_json_error_code program = JSON_G(error_code), code;
	zend_long known = PG(serialize_precision);
	if (has_all_digits()) {
		php_json_encode_ex(&text, value, 0, DEPTH);
	} else {
		encode_all_digits(&text, value);
	}
	code = JSON_G(error_code);
	JSON_G(error_code) = program;
	bool lost = known != PG(serialize_precision) && !has_all_digits();
	if (EG(exception) || code != PHP_JSON_ERROR_NONE || lost) {
		smart_str_free(&text);
		if (!EG(exception)) {
			errors_throw_not_sent(PAY88_CONFIG_INVALID,
				"Use arrays, objects, strings in UTF-8, finite numbers, true, false and null.", "The %s cannot be sent as JSON: %s.",
				argument,
				code == PHP_JSON_ERROR_NONE ? "the setting serialize_precision was made less than 17 meanwhile" : reason(code));
		}
		return NULL;
	}
	return smart_str_extract(&text);
}

const char *json_decode(zval *result, const char *text, size_t length, zend_long flags)
{
	php_json_error_code program = JSON_G(error_code), code;
	/* Else it would be thrown as another exception than all others. */
	if (php_json_decode_ex(result, text, length, flags & ~PHP_JSON_THROW_ON_ERROR, DEPTH) == SUCCESS) {
		return NULL;
	}
	code = JSON_G(error_code);
	JSON_G(error_code) = program;
	return reason(code);
}
