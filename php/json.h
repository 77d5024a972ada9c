/*
 * JSON, by PHP's own extension, as json_encode() and json_decode() of a program have it, but for three things.
 *
 * Promises: NAN and INF are refused (PHP's encoder writes 0 for them, an amount); a number is written with all the digits
 * that it has, whatever serialize_precision says; json_last_error() of the program stays as it is.
 */
#ifndef PAY88_JSON_H
#define PAY88_JSON_H

#include "php.h"

#include "ext/json/php_json.h"

#define JSON_DECODE_ARRAYS PHP_JSON_OBJECT_AS_ARRAY

/* NULL if an exception was thrown. */
zend_string *json_encode(zval *value, const char *argument);

/* NULL if it worked, else why not. The text has to have a NUL behind it, which is what PHP's parser ends at. */
const char *json_decode(zval *result, const char *text, size_t length, zend_long flags);

#endif
