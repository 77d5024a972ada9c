/*
 * From what PHP programs pass to what is sent. Whatever is refused here was not sent.
 *
 * Everything that needs memory of PHP, or runs code of the program (jsonSerialize), is done before a handle of the library is
 * taken, since PHP may jump away from either.
 */
#ifndef PAY88_REQUEST_H
#define PAY88_REQUEST_H

#include "php.h"

#include "pay88.h"

struct text_pair {
	zend_string *name, *value;
};

struct text_pairs {
	size_t count, capacity;
	struct text_pair *pairs;
};

/* All that a call consists of; belongs to its caller, who releases it with request_release_parts(). Begins as zeros. */
struct request_parts {
	/* NULL for none. */
	zend_string *body;
	struct text_pairs headers, params;
	/* 0 for the manager's. */
	uint64_t timeout_ms;
	bool safe_to_repeat;
};

/* From the options of request(). False if an exception was thrown. */
bool request_read_options(struct request_parts *parts, HashTable *options);

/* The handle; NULL if an exception was thrown. */
pay88_request *request_build(const struct request_parts *parts, zend_string *method, zend_string *endpoint);

void request_release_parts(struct request_parts *parts);

/* Seconds as the library takes them. False if an exception was thrown. */
bool request_milliseconds(double seconds, uint64_t *milliseconds);

#endif
