/* This is a generated file, edit the .stub.php file instead.
 * Stub hash: 68fa46cbb5ad797057e72a26ce0a874c7bf7343e */

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_Pay88_events, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_INFO_EX(arginfo_class_Pay88_TokenManager___construct, 0, 0, 0)
	ZEND_ARG_TYPE_MASK(0, apiKey, MAY_BE_STRING|MAY_BE_FALSE|MAY_BE_NULL, "null")
	ZEND_ARG_TYPE_MASK(0, merchantId, MAY_BE_STRING|MAY_BE_FALSE|MAY_BE_NULL, "null")
	ZEND_ARG_TYPE_MASK(0, baseUrl, MAY_BE_STRING|MAY_BE_FALSE|MAY_BE_NULL, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, options, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_getToken, 0, 0, IS_ARRAY, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeout, IS_DOUBLE, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_peekToken, 0, 0, IS_ARRAY, 1)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_makeRequest, 0, 1, IS_MIXED, 0)
	ZEND_ARG_TYPE_INFO(0, endpoint, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, method, IS_STRING, 0, "\'GET\'")
	ZEND_ARG_TYPE_MASK(0, body, MAY_BE_ARRAY|MAY_BE_OBJECT|MAY_BE_NULL, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Pay88_TokenManager_request, 0, 2, Pay88\\Response, 0)
	ZEND_ARG_TYPE_INFO(0, method, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO(0, endpoint, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, options, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

#define arginfo_class_Pay88_TokenManager_stats arginfo_Pay88_events

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_invalidate, 0, 0, _IS_BOOL, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, token, IS_ARRAY, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_rotate, 0, 1, IS_VOID, 0)
	ZEND_ARG_TYPE_INFO(0, apiKey, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, keepOld, _IS_BOOL, 0, "true")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_close, 0, 0, IS_VOID, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_isClosed, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_managerId, 0, 0, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_TokenManager_baseUrl, 0, 0, IS_STRING, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Pay88_TokenManager_merchantId arginfo_class_Pay88_TokenManager_baseUrl

ZEND_BEGIN_ARG_INFO_EX(arginfo_class_Pay88_Response___construct, 0, 0, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Pay88_Response_status arginfo_class_Pay88_TokenManager_managerId

#define arginfo_class_Pay88_Response_ok arginfo_class_Pay88_TokenManager_isClosed

#define arginfo_class_Pay88_Response_headers arginfo_Pay88_events

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_Response_header, 0, 1, IS_STRING, 1)
	ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Pay88_Response_body arginfo_class_Pay88_TokenManager_baseUrl

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_Response_json, 0, 0, IS_MIXED, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, flags, IS_LONG, 0, "JSON_OBJECT_AS_ARRAY")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Pay88_Response_raiseForStatus, 0, 0, Pay88\\Response, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_INFO_EX(arginfo_class_Pay88_Exception_Pay88Exception___construct, 0, 0, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, message, IS_STRING, 0, "\"\"")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, code, IS_LONG, 0, "0")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, previous, Throwable, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, hint, IS_STRING, 0, "\"\"")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, outcome, IS_STRING, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, httpStatus, IS_LONG, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, retryAfter, IS_DOUBLE, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, retryable, _IS_BOOL, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, attempt, IS_LONG, 1, "null")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, response, Pay88\\Response, 1, "null")
ZEND_END_ARG_INFO()

#define arginfo_class_Pay88_Exception_Pay88Exception_errorCode arginfo_class_Pay88_TokenManager_baseUrl

#define arginfo_class_Pay88_Exception_Pay88Exception_outcome arginfo_class_Pay88_TokenManager_baseUrl

#define arginfo_class_Pay88_Exception_Pay88Exception_hint arginfo_class_Pay88_TokenManager_baseUrl

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_Exception_Pay88Exception_httpStatus, 0, 0, IS_LONG, 1)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Pay88_Exception_Pay88Exception_retryAfter, 0, 0, IS_DOUBLE, 1)
ZEND_END_ARG_INFO()

#define arginfo_class_Pay88_Exception_Pay88Exception_retryable arginfo_class_Pay88_TokenManager_isClosed

#define arginfo_class_Pay88_Exception_Pay88Exception_attempt arginfo_class_Pay88_Exception_Pay88Exception_httpStatus

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Pay88_Exception_Pay88Exception_response, 0, 0, Pay88\\Response, 1)
ZEND_END_ARG_INFO()


ZEND_FUNCTION(Pay88_events);
ZEND_METHOD(Pay88_TokenManager, __construct);
ZEND_METHOD(Pay88_TokenManager, getToken);
ZEND_METHOD(Pay88_TokenManager, peekToken);
ZEND_METHOD(Pay88_TokenManager, makeRequest);
ZEND_METHOD(Pay88_TokenManager, request);
ZEND_METHOD(Pay88_TokenManager, stats);
ZEND_METHOD(Pay88_TokenManager, invalidate);
ZEND_METHOD(Pay88_TokenManager, rotate);
ZEND_METHOD(Pay88_TokenManager, close);
ZEND_METHOD(Pay88_TokenManager, isClosed);
ZEND_METHOD(Pay88_TokenManager, managerId);
ZEND_METHOD(Pay88_TokenManager, baseUrl);
ZEND_METHOD(Pay88_TokenManager, merchantId);
ZEND_METHOD(Pay88_Response, __construct);
ZEND_METHOD(Pay88_Response, status);
ZEND_METHOD(Pay88_Response, ok);
ZEND_METHOD(Pay88_Response, headers);
ZEND_METHOD(Pay88_Response, header);
ZEND_METHOD(Pay88_Response, body);
ZEND_METHOD(Pay88_Response, json);
ZEND_METHOD(Pay88_Response, raiseForStatus);
ZEND_METHOD(Pay88_Exception_Pay88Exception, __construct);
ZEND_METHOD(Pay88_Exception_Pay88Exception, errorCode);
ZEND_METHOD(Pay88_Exception_Pay88Exception, outcome);
ZEND_METHOD(Pay88_Exception_Pay88Exception, hint);
ZEND_METHOD(Pay88_Exception_Pay88Exception, httpStatus);
ZEND_METHOD(Pay88_Exception_Pay88Exception, retryAfter);
ZEND_METHOD(Pay88_Exception_Pay88Exception, retryable);
ZEND_METHOD(Pay88_Exception_Pay88Exception, attempt);
ZEND_METHOD(Pay88_Exception_Pay88Exception, response);


static const zend_function_entry ext_functions[] = {
	ZEND_NS_FALIAS("Pay88", events, Pay88_events, arginfo_Pay88_events)
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_TokenManager_methods[] = {
	ZEND_ME(Pay88_TokenManager, __construct, arginfo_class_Pay88_TokenManager___construct, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, getToken, arginfo_class_Pay88_TokenManager_getToken, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, peekToken, arginfo_class_Pay88_TokenManager_peekToken, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, makeRequest, arginfo_class_Pay88_TokenManager_makeRequest, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, request, arginfo_class_Pay88_TokenManager_request, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, stats, arginfo_class_Pay88_TokenManager_stats, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, invalidate, arginfo_class_Pay88_TokenManager_invalidate, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, rotate, arginfo_class_Pay88_TokenManager_rotate, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, close, arginfo_class_Pay88_TokenManager_close, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, isClosed, arginfo_class_Pay88_TokenManager_isClosed, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, managerId, arginfo_class_Pay88_TokenManager_managerId, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, baseUrl, arginfo_class_Pay88_TokenManager_baseUrl, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_TokenManager, merchantId, arginfo_class_Pay88_TokenManager_merchantId, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Response_methods[] = {
	ZEND_ME(Pay88_Response, __construct, arginfo_class_Pay88_Response___construct, ZEND_ACC_PRIVATE)
	ZEND_ME(Pay88_Response, status, arginfo_class_Pay88_Response_status, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Response, ok, arginfo_class_Pay88_Response_ok, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Response, headers, arginfo_class_Pay88_Response_headers, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Response, header, arginfo_class_Pay88_Response_header, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Response, body, arginfo_class_Pay88_Response_body, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Response, json, arginfo_class_Pay88_Response_json, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Response, raiseForStatus, arginfo_class_Pay88_Response_raiseForStatus, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_Pay88Exception_methods[] = {
	ZEND_ME(Pay88_Exception_Pay88Exception, __construct, arginfo_class_Pay88_Exception_Pay88Exception___construct, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, errorCode, arginfo_class_Pay88_Exception_Pay88Exception_errorCode, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, outcome, arginfo_class_Pay88_Exception_Pay88Exception_outcome, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, hint, arginfo_class_Pay88_Exception_Pay88Exception_hint, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, httpStatus, arginfo_class_Pay88_Exception_Pay88Exception_httpStatus, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, retryAfter, arginfo_class_Pay88_Exception_Pay88Exception_retryAfter, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, retryable, arginfo_class_Pay88_Exception_Pay88Exception_retryable, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, attempt, arginfo_class_Pay88_Exception_Pay88Exception_attempt, ZEND_ACC_PUBLIC)
	ZEND_ME(Pay88_Exception_Pay88Exception, response, arginfo_class_Pay88_Exception_Pay88Exception_response, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_ConfigInvalidException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_RefusedException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_CredentialsRejectedException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_AccessDeniedException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_RateLimitedException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_TimeoutException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_CanceledException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_ConnectionFailedException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_TlsFailedException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_BadResponseException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_HttpException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_InternalException_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Pay88_Exception_ForkedException_methods[] = {
	ZEND_FE_END
};

static zend_class_entry *register_class_Pay88_TokenManager(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88", "TokenManager", class_Pay88_TokenManager_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;
#if (PHP_VERSION_ID >= 80200)


	zend_add_parameter_attribute(zend_hash_str_find_ptr(&class_entry->function_table, "__construct", sizeof("__construct") - 1), 0, ZSTR_KNOWN(ZEND_STR_SENSITIVEPARAMETER), 0);

	zend_add_parameter_attribute(zend_hash_str_find_ptr(&class_entry->function_table, "__construct", sizeof("__construct") - 1), 1, ZSTR_KNOWN(ZEND_STR_SENSITIVEPARAMETER), 0);

	zend_add_parameter_attribute(zend_hash_str_find_ptr(&class_entry->function_table, "__construct", sizeof("__construct") - 1), 2, ZSTR_KNOWN(ZEND_STR_SENSITIVEPARAMETER), 0);

	zend_add_parameter_attribute(zend_hash_str_find_ptr(&class_entry->function_table, "__construct", sizeof("__construct") - 1), 3, ZSTR_KNOWN(ZEND_STR_SENSITIVEPARAMETER), 0);

	zend_add_parameter_attribute(zend_hash_str_find_ptr(&class_entry->function_table, "invalidate", sizeof("invalidate") - 1), 0, ZSTR_KNOWN(ZEND_STR_SENSITIVEPARAMETER), 0);

	zend_add_parameter_attribute(zend_hash_str_find_ptr(&class_entry->function_table, "rotate", sizeof("rotate") - 1), 0, ZSTR_KNOWN(ZEND_STR_SENSITIVEPARAMETER), 0);
#endif

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Response(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88", "Response", class_Pay88_Response_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_Pay88Exception(zend_class_entry *class_entry_RuntimeException)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "Pay88Exception", class_Pay88_Exception_Pay88Exception_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_RuntimeException);

	zval property_errorCode_default_value;
	ZVAL_NULL(&property_errorCode_default_value);
	zend_string *property_errorCode_name = zend_string_init("errorCode", sizeof("errorCode") - 1, 1);
	zend_declare_typed_property(class_entry, property_errorCode_name, &property_errorCode_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING|MAY_BE_NULL));
	zend_string_release(property_errorCode_name);

	zval property_outcome_default_value;
	ZVAL_NULL(&property_outcome_default_value);
	zend_string *property_outcome_name = zend_string_init("outcome", sizeof("outcome") - 1, 1);
	zend_declare_typed_property(class_entry, property_outcome_name, &property_outcome_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING|MAY_BE_NULL));
	zend_string_release(property_outcome_name);

	zval property_hint_default_value;
	ZVAL_EMPTY_STRING(&property_hint_default_value);
	zend_string *property_hint_name = zend_string_init("hint", sizeof("hint") - 1, 1);
	zend_declare_typed_property(class_entry, property_hint_name, &property_hint_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING));
	zend_string_release(property_hint_name);

	zval property_httpStatus_default_value;
	ZVAL_NULL(&property_httpStatus_default_value);
	zend_string *property_httpStatus_name = zend_string_init("httpStatus", sizeof("httpStatus") - 1, 1);
	zend_declare_typed_property(class_entry, property_httpStatus_name, &property_httpStatus_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_httpStatus_name);

	zval property_retryAfter_default_value;
	ZVAL_NULL(&property_retryAfter_default_value);
	zend_string *property_retryAfter_name = zend_string_init("retryAfter", sizeof("retryAfter") - 1, 1);
	zend_declare_typed_property(class_entry, property_retryAfter_name, &property_retryAfter_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_DOUBLE|MAY_BE_NULL));
	zend_string_release(property_retryAfter_name);

	zval property_retryable_default_value;
	ZVAL_NULL(&property_retryable_default_value);
	zend_string *property_retryable_name = zend_string_init("retryable", sizeof("retryable") - 1, 1);
	zend_declare_typed_property(class_entry, property_retryable_name, &property_retryable_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_BOOL|MAY_BE_NULL));
	zend_string_release(property_retryable_name);

	zval property_attempt_default_value;
	ZVAL_NULL(&property_attempt_default_value);
	zend_string *property_attempt_name = zend_string_init("attempt", sizeof("attempt") - 1, 1);
	zend_declare_typed_property(class_entry, property_attempt_name, &property_attempt_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_attempt_name);

	zend_string *property_response_class_Pay88_Response = zend_string_init("Pay88\\Response", sizeof("Pay88\\Response")-1, 1);
	zval property_response_default_value;
	ZVAL_NULL(&property_response_default_value);
	zend_string *property_response_name = zend_string_init("response", sizeof("response") - 1, 1);
	zend_declare_typed_property(class_entry, property_response_name, &property_response_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_response_class_Pay88_Response, 0, MAY_BE_NULL));
	zend_string_release(property_response_name);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_ConfigInvalidException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "ConfigInvalidException", class_Pay88_Exception_ConfigInvalidException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_RefusedException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "RefusedException", class_Pay88_Exception_RefusedException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_CredentialsRejectedException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "CredentialsRejectedException", class_Pay88_Exception_CredentialsRejectedException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_AccessDeniedException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "AccessDeniedException", class_Pay88_Exception_AccessDeniedException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_RateLimitedException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "RateLimitedException", class_Pay88_Exception_RateLimitedException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_TimeoutException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "TimeoutException", class_Pay88_Exception_TimeoutException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_CanceledException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "CanceledException", class_Pay88_Exception_CanceledException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_ConnectionFailedException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "ConnectionFailedException", class_Pay88_Exception_ConnectionFailedException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_TlsFailedException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "TlsFailedException", class_Pay88_Exception_TlsFailedException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_BadResponseException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "BadResponseException", class_Pay88_Exception_BadResponseException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_HttpException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "HttpException", class_Pay88_Exception_HttpException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_InternalException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "InternalException", class_Pay88_Exception_InternalException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}

static zend_class_entry *register_class_Pay88_Exception_ForkedException(zend_class_entry *class_entry_Pay88_Exception_Pay88Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Pay88\\Exception", "ForkedException", class_Pay88_Exception_ForkedException_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Pay88_Exception_Pay88Exception);

	return class_entry;
}
