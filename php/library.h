/*
 * The process's copy of libpay88.
 *
 * Promises: whoever loads, in whatever order and at the same moment, all get one copy; nothing is unloaded; a library of
 * another ABI is refused before any other function of it is called. It is the counterpart of bindings/sys/src/loader.rs.
 */
#ifndef PAY88_LIBRARY_H
#define PAY88_LIBRARY_H

#include "pay88.h"

/* The functions that are used, without their prefix. */
#define LIBRARY_FUNCTIONS(F) \
	F(version) \
	F(config_new_without_environment) \
	F(config_set) \
	F(config_set_variable) \
	F(config_release) \
	F(error_status) \
	F(error_name) \
	F(error_message) \
	F(error_hint) \
	F(error_http_status) \
	F(error_retry_after_ms) \
	F(error_retryable) \
	F(error_outcome) \
	F(error_attempt) \
	F(error_release) \
	F(events_open) \
	F(events_next) \
	F(events_release) \
	F(event_json) \
	F(event_release) \
	F(manager_new) \
	F(manager_close) \
	F(manager_is_closed) \
	F(manager_release) \
	F(manager_id) \
	F(manager_base_url) \
	F(manager_merchant_id) \
	F(manager_get_token) \
	F(manager_current_until) \
	F(manager_generation_word) \
	F(manager_count_uses) \
	F(manager_peek_token) \
	F(manager_send) \
	F(manager_invalidate) \
	F(manager_rotate) \
	F(manager_stats) \
	F(outcome_name) \
	F(request_new) \
	F(request_add_header) \
	F(request_add_param) \
	F(request_set_body) \
	F(request_set_timeout_ms) \
	F(request_set_safe_to_repeat) \
	F(request_release) \
	F(response_status) \
	F(response_body) \
	F(response_header_count) \
	F(response_header_name) \
	F(response_header_value) \
	F(response_error_for_status) \
	F(response_release) \
	F(stats_json) \
	F(stats_release) \
	F(token_access_token) \
	F(token_session_id) \
	F(token_expires_in) \
	F(token_generation) \
	F(token_release)

/* With the types that the header gives them: no signature stands twice. */
#define LIBRARY_FIELD(name) __typeof__(&pay88_##name) name;
struct library {
	LIBRARY_FUNCTIONS(LIBRARY_FIELD)
};
#undef LIBRARY_FIELD

/* Filled by library_load(); not to be used where that failed. */
extern struct library libpay88;

/* Called once, before any thread of PHP runs. */
void library_load(void);

/* Why there is no library: one sentence, valid for ever; NULL if there is one. */
const char *library_failure(void);

/* The file that it comes from; empty where it is not known. */
const char *library_path(void);

#endif
