#include "php_pay88.h"

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

zend_string *json_encode(zval *value, const char *argument)
{
	smart_str text = {0};
	php_json_error_code program = JSON_G(error_code), code;
	zend_long precision = PG(serialize_precision);
	PG(serialize_precision) = -1;
	/* jsonSerialize() of the program may end it. */
	zend_try {
		php_json_encode_ex(&text, value, 0, DEPTH);
	} zend_catch {
		PG(serialize_precision) = precision;
		JSON_G(error_code) = program;
		zend_bailout();
	} zend_end_try();
	PG(serialize_precision) = precision;
	code = JSON_G(error_code);
	JSON_G(error_code) = program;
	if (EG(exception) || code != PHP_JSON_ERROR_NONE) {
		smart_str_free(&text);
		if (!EG(exception)) {
			errors_throw_not_sent(PAY88_CONFIG_INVALID,
				"Use arrays, objects, strings in UTF-8, finite numbers, true, false and null.", "The %s cannot be sent as JSON: %s.",
				argument, reason(code));
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
