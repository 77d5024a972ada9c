#include "php_pay88.h"

#include "zend_smart_str.h"

#include "errors.h"
#include "json.h"
#include "library.h"
#include "response.h"

struct response {
	/* NULL until it is filled. */
	pay88_response *answer;
	/* Made when it is first asked for. */
	zend_string *body;
	zend_object std;
};

zend_class_entry *pay88_response_class;

static zend_object_handlers handlers;

static struct response *from(zend_object *object)
{
	return (struct response *)((char *)object - XtOffsetOf(struct response, std));
}

static zend_object *create(zend_class_entry *class)
{
	struct response *response = zend_object_alloc(sizeof *response, class);
	response->answer = NULL;
	response->body = NULL;
	zend_object_std_init(&response->std, class);
	object_properties_init(&response->std, class);
	response->std.handlers = &handlers;
	return &response->std;
}

static void free_object(zend_object *object)
{
	struct response *response = from(object);
	if (response->answer) {
		libpay88.response_release(response->answer);
	}
	if (response->body) {
		zend_string_release(response->body);
	}
	zend_object_std_dtor(object);
}

void response_prepare(zend_class_entry *class)
{
	pay88_response_class = class;
	class->create_object = create;
	handlers = std_object_handlers;
	handlers.offset = XtOffsetOf(struct response, std);
	handlers.free_obj = free_object;
	handlers.clone_obj = NULL;
	handlers.compare = zend_objects_not_comparable;
}

void response_init(zval *object)
{
	object_init_ex(object, pay88_response_class);
}

void response_fill(zend_object *object, pay88_response *answer)
{
	from(object)->answer = answer;
}

zend_long response_status(zend_object *object)
{
	return from(object)->answer ? libpay88.response_status(from(object)->answer) : 0;
}

bool response_decode(zend_object *object, zval *result, zend_long flags)
{
	pay88_bytes body = libpay88.response_body(from(object)->answer);
	const char *why = json_decode(result, (const char *)body.data, body.len, flags);
	if (!why) {
		return true;
	}
	char message[256];
	snprintf(message, sizeof message, "88Pay answered with status " ZEND_LONG_FMT ", and the body is no JSON: %s.",
		response_status(object), why);
	errors_throw_object(errors_make_own(PAY88_BAD_RESPONSE, "answered", message,
		"The request arrived: look the transaction up before it is repeated.", object));
	return false;
}

ZEND_METHOD(Pay88_Response, __construct)
{
	/* Private: the library makes them. */
	ZEND_PARSE_PARAMETERS_NONE();
}

ZEND_METHOD(Pay88_Response, status)
{
	ZEND_PARSE_PARAMETERS_NONE();
	RETURN_LONG(response_status(Z_OBJ_P(ZEND_THIS)));
}

ZEND_METHOD(Pay88_Response, ok)
{
	ZEND_PARSE_PARAMETERS_NONE();
	RETURN_BOOL(response_status(Z_OBJ_P(ZEND_THIS)) < 400);
}

ZEND_METHOD(Pay88_Response, headers)
{
	ZEND_PARSE_PARAMETERS_NONE();
	const pay88_response *answer = from(Z_OBJ_P(ZEND_THIS))->answer;
	size_t count = libpay88.response_header_count(answer);
	array_init_size(return_value, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pay88_str name = libpay88.response_header_name(answer, i);
		pay88_bytes value = libpay88.response_header_value(answer, i);
		zval *values = zend_symtable_str_find(Z_ARRVAL_P(return_value), name.data, name.len);
		if (!values) {
			zval list;
			array_init_size(&list, 1);
			values = zend_symtable_str_update(Z_ARRVAL_P(return_value), name.data, name.len, &list);
		}
		add_next_index_stringl(values, (const char *)value.data, value.len);
	}
}

ZEND_METHOD(Pay88_Response, header)
{
	zend_string *wanted;
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_STR(wanted)
	ZEND_PARSE_PARAMETERS_END();
	const pay88_response *answer = from(Z_OBJ_P(ZEND_THIS))->answer;
	size_t count = libpay88.response_header_count(answer);
	smart_str joined = {0};
	bool found = false;
	for (size_t i = 0; i < count; i++) {
		pay88_str name = libpay88.response_header_name(answer, i);
		if (!zend_binary_strcasecmp(name.data, name.len, ZSTR_VAL(wanted), ZSTR_LEN(wanted))) {
			pay88_bytes value = libpay88.response_header_value(answer, i);
			if (found) {
				smart_str_appends(&joined, ", ");
			}
			smart_str_appendl(&joined, (const char *)value.data, value.len);
			found = true;
		}
	}
	if (found) {
		RETURN_STR(smart_str_extract(&joined));
	}
}

ZEND_METHOD(Pay88_Response, body)
{
	ZEND_PARSE_PARAMETERS_NONE();
	struct response *response = from(Z_OBJ_P(ZEND_THIS));
	if (!response->body) {
		pay88_bytes body = libpay88.response_body(response->answer);
		response->body = zend_string_init((const char *)body.data, body.len, false);
	}
	RETURN_STR_COPY(response->body);
}

ZEND_METHOD(Pay88_Response, json)
{
	zend_long flags = JSON_DECODE_ARRAYS;
	ZEND_PARSE_PARAMETERS_START(0, 1)
		Z_PARAM_OPTIONAL
		Z_PARAM_LONG(flags)
	ZEND_PARSE_PARAMETERS_END();
	response_decode(Z_OBJ_P(ZEND_THIS), return_value, flags);
}

ZEND_METHOD(Pay88_Response, raiseForStatus)
{
	ZEND_PARSE_PARAMETERS_NONE();
	pay88_error *error = NULL;
	if (libpay88.response_error_for_status(from(Z_OBJ_P(ZEND_THIS))->answer, &error) == PAY88_OK) {
		RETURN_COPY(ZEND_THIS);
	}
	zend_object *exception = errors_make(error);
	if (exception) {
		zend_update_property(pay88_exception, exception, ZEND_STRL("response"), ZEND_THIS);
		errors_throw_object(exception);
	}
}
