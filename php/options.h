/*
 * Options: of the constructor, of php.ini, of the environment.
 *
 * Promises: what the constructor is given wins over php.ini, which wins over the environment; a value that may be a secret
 * stands in no message, and php.ini's secrets are where no function of PHP shows them.
 */
#ifndef PAY88_OPTIONS_H
#define PAY88_OPTIONS_H

#include "php.h"

#include "pay88.h"

/* The core's table, in its order, which the tests compare with it. */
#define OPTIONS(PLAIN, SECRET) \
	SECRET(api_key) \
	PLAIN(merchant_id) \
	PLAIN(base_url) \
	SECRET(previous_api_key) \
	PLAIN(timeout) \
	PLAIN(connect_timeout) \
	PLAIN(ca_bundle) \
	SECRET(proxy) \
	SECRET(share) \
	PLAIN(safety_margin) \
	PLAIN(tokens_per_minute) \
	PLAIN(tokens_per_hour) \
	PLAIN(max_response_bytes) \
	PLAIN(idle_timeout) \
	PLAIN(max_connections) \
	PLAIN(user_agent_suffix)

#define OPTION_INDEX(name) OPTION_##name,
enum { OPTIONS(OPTION_INDEX, OPTION_INDEX) OPTION_COUNT };
#undef OPTION_INDEX

/* Called in MINIT and MSHUTDOWN. */
void options_register(int type, int module_number);
void options_unregister(int type, int module_number);

/* Sets what holds for a manager that is built now; arguments may be NULL. False if an exception was thrown. */
bool options_set(pay88_config *config, zend_string *api_key, zend_string *merchant_id, zend_string *base_url, HashTable *options);

/* Whether it counts as unset, in php.ini and in the environment. A NUL has to follow the value. */
bool options_is_blank(const char *value, size_t length);

/* The text of a string or number, with all its digits, whatever the settings say. To be released. */
zend_string *options_text(const zval *value);

#endif
