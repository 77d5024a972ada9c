#include "php_pay88.h"

#include "zend_exceptions.h"

#include "errors.h"
#include "events.h"
#include "interrupt.h"
#include "json.h"
#include "library.h"
#include "options.h"
#include "program.h"
#include "request.h"
#include "response.h"
#include "token_manager.h"

struct token_manager {
	/* NULL until it is constructed. */
	pay88_manager *handle;
	/* While it is constructed: here, so that it is released also where PHP jumps away. */
	pay88_config *config;
	/* What was handed out last, as the library's token and as PHP's array, which is the same as long as the token is. */
	pay88_token *token;
	uint64_t generation;
	zval array;
	/* Of the library, and until when it says that the array is what to hand out; all zeros if it has not said that. */
	const uint64_t *generation_word;
	pay88_current current;
	/* How often the array was handed out since the library was told. */
	uint64_t uses;
	zend_object std;
};

static zend_object_handlers handlers;

static struct token_manager *from(zend_object *object)
{
	return (struct token_manager *)((char *)object - XtOffsetOf(struct token_manager, std));
}

static zend_object *create(zend_class_entry *class)
{
	struct token_manager *manager = zend_object_alloc(sizeof *manager, class);
	ZVAL_UNDEF(&manager->array);
	zend_object_std_init(&manager->std, class);
	object_properties_init(&manager->std, class);
	manager->std.handlers = &handlers;
	return &manager->std;
}

static void report_uses(struct token_manager *manager)
{
	if (manager->uses) {
		libpay88.manager_count_uses(manager->handle, manager->uses);
		manager->uses = 0;
	}
}

/* The library's clock: a program may put one of its own in its place, as libfaketime does. */
static int (*read_clock)(clockid_t, struct timespec *);

/* An error is later than everything. */
static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec time;
	return read_clock(clock, &time) ? UINT64_MAX : (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Whether the library has said that the array is what to hand out, and that still holds. */
static bool is_current(const struct token_manager *manager)
{
	const pay88_current *current = &manager->current;
	return current->word && __atomic_load_n(manager->generation_word, __ATOMIC_ACQUIRE) == current->word
		&& nanoseconds(CLOCK_MONOTONIC_COARSE) < current->monotonic_until
		&& nanoseconds(CLOCK_REALTIME_COARSE) < current->realtime_until;
}

static void forget_token(struct token_manager *manager)
{
	if (manager->token) {
		libpay88.token_release(manager->token);
		manager->token = NULL;
		manager->generation = 0;
		manager->current = (pay88_current){0};
	}
	zval_ptr_dtor(&manager->array);
	ZVAL_UNDEF(&manager->array);
}

static void free_object(zend_object *object)
{
	struct token_manager *manager = from(object);
	forget_token(manager);
	if (manager->config) {
		libpay88.config_release(manager->config);
	}
	if (manager->handle) {
		report_uses(manager);
		libpay88.manager_release(manager->handle);
	}
	zend_object_std_dtor(object);
}

/* What print_r(), var_dump() and their kin show. */
static HashTable *debug_info(zend_object *object, int *is_temporary)
{
	struct token_manager *manager = from(object);
	HashTable *shown = zend_new_array(4);
	*is_temporary = 1;
	if (manager->handle) {
		zval value;
		ZVAL_LONG(&value, (zend_long)libpay88.manager_id(manager->handle));
		zend_hash_str_add_new(shown, ZEND_STRL("managerId"), &value);
		pay88_str text = libpay88.manager_merchant_id(manager->handle);
		ZVAL_STRINGL(&value, text.data, text.len);
		zend_hash_str_add_new(shown, ZEND_STRL("merchantId"), &value);
		text = libpay88.manager_base_url(manager->handle);
		ZVAL_STRINGL(&value, text.data, text.len);
		zend_hash_str_add_new(shown, ZEND_STRL("baseUrl"), &value);
	}
	return shown;
}

void token_manager_prepare(zend_class_entry *class)
{
	*(void **)&read_clock = program_symbol("clock_gettime", (void *)clock_gettime);
	class->create_object = create;
	handlers = std_object_handlers;
	handlers.offset = XtOffsetOf(struct token_manager, std);
	handlers.free_obj = free_object;
	handlers.clone_obj = NULL;
	handlers.compare = zend_objects_not_comparable;
	handlers.get_debug_info = debug_info;
}

/* The handle of an object whose constructor has run; NULL if an exception was thrown. */
static pay88_manager *handle_of(zend_object *object)
{
	pay88_manager *handle = from(object)->handle;
	if (!handle) {
		errors_throw_not_sent(PAY88_CONFIG_INVALID, "Make one with new Pay88\\TokenManager().", "The manager was not constructed.");
	}
	return handle;
}

/* Begins what a method does with its handle. */
#define HANDLE_OR_THROW(handle) \
	pay88_manager *handle = handle_of(Z_OBJ_P(ZEND_THIS)); \
	if (!handle) { \
		RETURN_THROWS(); \
	}

/* A string, null or false. False if an exception was thrown. */
static bool read_text(zval *argument, uint32_t number, zend_string **text)
{
	*text = NULL;
	if (!argument || Z_TYPE_P(argument) == IS_NULL || Z_TYPE_P(argument) == IS_FALSE) {
		return true;
	}
	if (!zend_parse_arg_str(argument, text, false, number)) {
		zend_wrong_parameter_type_error(number, Z_EXPECTED_STRING_OR_NULL, argument);
		return false;
	}
	return true;
}

/* Where else PHP programs may set an option, for hints that name its environment variable. NULL if this one does not. */
static zend_string *hint_with_places(const char *hint)
{
	static const char prefix[] = "EIGHTY_EIGHT_PAY_";
	const char *variable = strstr(hint, prefix);
	if (!variable || !strstr(hint, "set the environment variable")) {
		return NULL;
	}
	size_t length = strspn(variable, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
	char *option = zend_str_tolower_dup(variable + strlen(prefix), length - strlen(prefix));
	zend_string *more = zend_strpprintf(0,
		"%s In php.ini it is pay88.%s, in a pool of php-fpm php_admin_value[pay88.%s]. php-fpm passes the variable on only with "
		"env[%.*s] or clear_env = no.",
		hint, option, option, (int)length, variable);
	efree(option);
	return more;
}

static void throw_of_construction(pay88_error *error)
{
	zend_object *exception = errors_make(error);
	if (!exception) {
		return;
	}
	zval space, *hint = zend_read_property(pay88_exception, exception, ZEND_STRL("hint"), true, &space);
	zend_string *more = Z_TYPE_P(hint) == IS_STRING ? hint_with_places(Z_STRVAL_P(hint)) : NULL;
	if (more) {
		zval value;
		ZVAL_STR(&value, more);
		zend_update_property(pay88_exception, exception, ZEND_STRL("hint"), &value);
		zend_string_release(more);
	}
	errors_throw_object(exception);
}

ZEND_METHOD(Pay88_TokenManager, __construct)
{
	zval *first = NULL, *second = NULL, *third = NULL;
	HashTable *options = NULL;
	ZEND_PARSE_PARAMETERS_START(0, 4)
		Z_PARAM_OPTIONAL
		Z_PARAM_ZVAL(first)
		Z_PARAM_ZVAL(second)
		Z_PARAM_ZVAL(third)
		Z_PARAM_ARRAY_HT(options)
	ZEND_PARSE_PARAMETERS_END();
	zend_string *api_key, *merchant_id, *base_url;
	if (!read_text(first, 1, &api_key) || !read_text(second, 2, &merchant_id) || !read_text(third, 3, &base_url)) {
		RETURN_THROWS();
	}
	struct token_manager *manager = from(Z_OBJ_P(ZEND_THIS));
	if (errors_throw_library_failure()) {
		RETURN_THROWS();
	}
	if (manager->handle || manager->config) {
		errors_throw_not_sent(PAY88_CONFIG_INVALID, "Make another one with new Pay88\\TokenManager().",
			"The manager was constructed before.");
		RETURN_THROWS();
	}
	events_follow();
	manager->config = libpay88.config_new_without_environment();
	if (options_set(manager->config, api_key, merchant_id, base_url, options)) {
		pay88_error *error = NULL;
		if (libpay88.manager_new(manager->config, &manager->handle, &error) != PAY88_OK) {
			throw_of_construction(error);
		} else {
			manager->generation_word = libpay88.manager_generation_word(manager->handle);
		}
	}
	libpay88.config_release(manager->config);
	manager->config = NULL;
}

/* Hands out a token, which is the object's from then on. */
static void hand_out(struct token_manager *manager, pay88_token *token, zval *result)
{
	uint64_t generation = libpay88.token_generation(token);
	if (generation == manager->generation) {
		libpay88.token_release(token);
	} else {
		forget_token(manager);
		manager->token = token;
		array_init_size(&manager->array, 3);
		pay88_str text = libpay88.token_access_token(token);
		add_assoc_stringl(&manager->array, "access_token", text.data, text.len);
		text = libpay88.token_session_id(token);
		add_assoc_stringl(&manager->array, "session_id", text.data, text.len);
		add_assoc_long(&manager->array, "expires_in", (zend_long)libpay88.token_expires_in(token));
		manager->generation = generation;
	}
	ZVAL_COPY(result, &manager->array);
}

/* Hands out the token that is there without waiting, if this object has had one before, and counts that once. */
static bool hand_out_cached(struct token_manager *manager, zval *result)
{
	if (is_current(manager)) {
		manager->uses++;
		ZVAL_COPY(result, &manager->array);
		return true;
	}
	report_uses(manager);
	pay88_current current = {0};
	if (!manager->generation || !libpay88.manager_current_until(manager->handle, &current)) {
		return false;
	}
	if (current.generation == manager->generation) {
		ZVAL_COPY(result, &manager->array);
	} else {
		pay88_token *token = NULL;
		pay88_error *error = NULL;
		libpay88.manager_peek_token(manager->handle, &token, &error);
		if (!token) {
			libpay88.error_release(error);
			return false;
		}
		hand_out(manager, token, result);
	}
	manager->current = current.generation == manager->generation ? current : (pay88_current){0};
	return true;
}

/* Goes on with what ended a wait, of whose result only one is there. What a handler threw comes first; ours, which says what
 * became of the call, is its previous one. */
static void give_up(const struct wait *wait, pay88_error *error, const char *outcome, zend_object *response)
{
	if (!wait->threw || zend_is_unwind_exit(EG(exception)) || zend_is_graceful_exit(EG(exception))) {
		libpay88.error_release(error);
		wait_end(wait);
		return;
	}
	zend_object *thrown = EG(exception);
	EG(exception) = NULL;
	zend_object *ours = error ? errors_make(error)
							  : errors_make_own(PAY88_CANCELED, outcome, "The answer came as its caller gave up.",
									response ? "It is the response of this exception." : "It is safe to repeat.", response);
	EG(exception) = thrown;
	if (ours) {
		zend_exception_set_previous(thrown, ours);
	}
}

ZEND_METHOD(Pay88_TokenManager, getToken)
{
	double timeout = 0;
	bool no_timeout = true;
	ZEND_PARSE_PARAMETERS_START(0, 1)
		Z_PARAM_OPTIONAL
		Z_PARAM_DOUBLE_OR_NULL(timeout, no_timeout)
	ZEND_PARSE_PARAMETERS_END();
	struct token_manager *manager = from(Z_OBJ_P(ZEND_THIS));
	if (no_timeout && hand_out_cached(manager, return_value)) {
		return;
	}
	pay88_manager *handle = handle_of(Z_OBJ_P(ZEND_THIS));
	uint64_t milliseconds = 0;
	if (!handle || (!no_timeout && !request_milliseconds(timeout, &milliseconds))) {
		RETURN_THROWS();
	}
	events_follow();
	struct wait wait = {0};
	pay88_token *token = NULL;
	pay88_error *error = NULL;
	libpay88.manager_get_token(handle, milliseconds, wait_interrupt, &wait, &token, &error);
	if (wait_was_ended(&wait)) {
		libpay88.token_release(token);
		give_up(&wait, error, "not_sent", NULL);
	} else if (token) {
		hand_out(manager, token, return_value);
	} else {
		errors_throw(error);
	}
}

ZEND_METHOD(Pay88_TokenManager, peekToken)
{
	ZEND_PARSE_PARAMETERS_NONE();
	HANDLE_OR_THROW(handle);
	pay88_token *token = NULL;
	pay88_error *error = NULL;
	if (libpay88.manager_peek_token(handle, &token, &error) != PAY88_OK) {
		errors_throw(error);
	} else if (token) {
		hand_out(from(Z_OBJ_P(ZEND_THIS)), token, return_value);
	}
}

/* Makes the call, whose answer gets into the response. False if an exception was thrown. */
static bool make_call(pay88_manager *handle, const struct request_parts *parts, zend_string *method, zend_string *endpoint,
	zval *response)
{
	events_follow();
	response_init(response);
	pay88_request *request = request_build(parts, method, endpoint);
	if (!request) {
		return false;
	}
	struct wait wait = {0};
	pay88_response *answer = NULL;
	pay88_error *error = NULL;
	libpay88.manager_send(handle, request, wait_interrupt, &wait, &answer, &error);
	libpay88.request_release(request);
	response_fill(Z_OBJ_P(response), answer);
	if (wait_was_ended(&wait)) {
		give_up(&wait, error, "answered", Z_OBJ_P(response));
		return false;
	}
	if (error) {
		errors_throw(error);
	}
	return !error;
}

ZEND_METHOD(Pay88_TokenManager, request)
{
	zend_string *method, *endpoint;
	HashTable *options = NULL;
	ZEND_PARSE_PARAMETERS_START(2, 3)
		Z_PARAM_STR(method)
		Z_PARAM_STR(endpoint)
		Z_PARAM_OPTIONAL
		Z_PARAM_ARRAY_HT(options)
	ZEND_PARSE_PARAMETERS_END();
	HANDLE_OR_THROW(handle);
	struct request_parts parts = {0};
	zval response;
	ZVAL_UNDEF(&response);
	if ((!options || request_read_options(&parts, options)) && make_call(handle, &parts, method, endpoint, &response)) {
		ZVAL_COPY(return_value, &response);
	}
	zval_ptr_dtor(&response);
	request_release_parts(&parts);
}

ZEND_METHOD(Pay88_TokenManager, makeRequest)
{
	zend_string *endpoint, *method = NULL;
	zval *body = NULL;
	ZEND_PARSE_PARAMETERS_START(1, 3)
		Z_PARAM_STR(endpoint)
		Z_PARAM_OPTIONAL
		Z_PARAM_STR(method)
		Z_PARAM_ARRAY_OR_OBJECT_EX(body, true, false)
	ZEND_PARSE_PARAMETERS_END();
	HANDLE_OR_THROW(handle);
	struct request_parts parts = {0};
	method = method ? zend_string_copy(method) : zend_string_init(ZEND_STRL("GET"), false);
	/* As in the documentation's class, an empty array is no body. */
	if (body && (Z_TYPE_P(body) == IS_OBJECT || zend_hash_num_elements(Z_ARRVAL_P(body)))) {
		parts.body = json_encode(body, "body");
	}
	zval response;
	ZVAL_UNDEF(&response);
	if (!EG(exception) && make_call(handle, &parts, method, endpoint, &response)) {
		response_decode(Z_OBJ(response), return_value, JSON_DECODE_ARRAYS);
	}
	zval_ptr_dtor(&response);
	zend_string_release(method);
	request_release_parts(&parts);
}

ZEND_METHOD(Pay88_TokenManager, stats)
{
	ZEND_PARSE_PARAMETERS_NONE();
	HANDLE_OR_THROW(handle);
	report_uses(from(Z_OBJ_P(ZEND_THIS)));
	pay88_stats *stats = NULL;
	pay88_error *error = NULL;
	if (libpay88.manager_stats(handle, &stats, &error) != PAY88_OK) {
		errors_throw(error);
		RETURN_THROWS();
	}
	pay88_str text = libpay88.stats_json(stats);
	zend_try {
		json_decode(return_value, text.data, text.len, JSON_DECODE_ARRAYS);
	} zend_catch {
		libpay88.stats_release(stats);
		zend_bailout();
	} zend_end_try();
	libpay88.stats_release(stats);
}

/* Whether the array is what was handed out for the token. */
static bool is_token(const pay88_token *token, HashTable *array)
{
	zval *given = zend_hash_str_find_deref(array, ZEND_STRL("access_token"));
	pay88_str text = libpay88.token_access_token(token);
	return Z_STRLEN_P(given) == text.len && !memcmp(Z_STRVAL_P(given), text.data, text.len);
}

ZEND_METHOD(Pay88_TokenManager, invalidate)
{
	HashTable *array = NULL;
	ZEND_PARSE_PARAMETERS_START(0, 1)
		Z_PARAM_OPTIONAL
		Z_PARAM_ARRAY_HT_OR_NULL(array)
	ZEND_PARSE_PARAMETERS_END();
	HANDLE_OR_THROW(handle);
	events_follow();
	pay88_error *error = NULL;
	pay88_token *token = NULL;
	bool dropped = false;
	if (array) {
		zval *given = zend_hash_str_find_deref(array, ZEND_STRL("access_token"));
		if (!given || Z_TYPE_P(given) != IS_STRING) {
			errors_throw_not_sent(PAY88_CONFIG_INVALID, "Pass one of getToken().", "That is no token.");
			RETURN_THROWS();
		}
		if (libpay88.manager_peek_token(handle, &token, &error) != PAY88_OK) {
			errors_throw(error);
			RETURN_THROWS();
		}
		/* Another one is there already, or none. */
		if (!token || !is_token(token, array)) {
			libpay88.token_release(token);
			RETURN_FALSE;
		}
	}
	libpay88.manager_invalidate(handle, token, &dropped, &error);
	libpay88.token_release(token);
	if (error) {
		errors_throw(error);
		RETURN_THROWS();
	}
	RETURN_BOOL(dropped);
}

ZEND_METHOD(Pay88_TokenManager, rotate)
{
	zend_string *api_key;
	bool keep_old = true;
	ZEND_PARSE_PARAMETERS_START(1, 2)
		Z_PARAM_STR(api_key)
		Z_PARAM_OPTIONAL
		Z_PARAM_BOOL(keep_old)
	ZEND_PARSE_PARAMETERS_END();
	HANDLE_OR_THROW(handle);
	events_follow();
	pay88_error *error = NULL;
	if (libpay88.manager_rotate(handle, ZSTR_VAL(api_key), ZSTR_LEN(api_key), keep_old, &error) != PAY88_OK) {
		errors_throw(error);
	}
}

ZEND_METHOD(Pay88_TokenManager, close)
{
	ZEND_PARSE_PARAMETERS_NONE();
	HANDLE_OR_THROW(handle);
	report_uses(from(Z_OBJ_P(ZEND_THIS)));
	libpay88.manager_close(handle);
}

ZEND_METHOD(Pay88_TokenManager, isClosed)
{
	ZEND_PARSE_PARAMETERS_NONE();
	HANDLE_OR_THROW(handle);
	RETURN_BOOL(libpay88.manager_is_closed(handle));
}

ZEND_METHOD(Pay88_TokenManager, managerId)
{
	ZEND_PARSE_PARAMETERS_NONE();
	HANDLE_OR_THROW(handle);
	RETURN_LONG((zend_long)libpay88.manager_id(handle));
}

ZEND_METHOD(Pay88_TokenManager, baseUrl)
{
	ZEND_PARSE_PARAMETERS_NONE();
	HANDLE_OR_THROW(handle);
	pay88_str text = libpay88.manager_base_url(handle);
	RETURN_STRINGL(text.data, text.len);
}

ZEND_METHOD(Pay88_TokenManager, merchantId)
{
	ZEND_PARSE_PARAMETERS_NONE();
	HANDLE_OR_THROW(handle);
	pay88_str text = libpay88.manager_merchant_id(handle);
	RETURN_STRINGL(text.data, text.len);
}
