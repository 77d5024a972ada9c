#include "php_pay88.h"

#include <stdatomic.h>
#include <unistd.h>

#include "errors.h"
#include "events.h"
#include "json.h"
#include "library.h"

#define CAPACITY 1000

struct subscription {
	pid_t process;
	pay88_events *queue;
};

/* NULL until somebody wants events. Never freed: a child has that of its parent, which it must not use, and other threads may
 * be about to. */
static _Atomic(struct subscription *) current;

/* The subscription of this process, made if there is none; NULL if an exception was thrown. */
static struct subscription *subscribe(bool throw)
{
	struct subscription *known = atomic_load(&current);
	pid_t process = getpid();
	if (known && known->process == process) {
		return known;
	}
	pay88_events *queue = NULL;
	pay88_error *error = NULL;
	if (libpay88.events_open(CAPACITY, &queue, &error) != PAY88_OK) {
		if (throw) {
			errors_throw(error);
		} else {
			/* A call that makes a payment does not fail because nothing can be told. */
			libpay88.error_release(error);
		}
		return NULL;
	}
	struct subscription *own = malloc(sizeof *own);
	if (own) {
		*own = (struct subscription){process, queue};
		if (atomic_compare_exchange_strong(&current, &known, own)) {
			return own;
		}
		free(own);
	}
	/* Another thread was faster. */
	libpay88.events_release(queue);
	return atomic_load(&current);
}

void events_follow(void)
{
	if (atomic_load_explicit(&current, memory_order_relaxed)) {
		subscribe(false);
	}
}

ZEND_FUNCTION(Pay88_events)
{
	ZEND_PARSE_PARAMETERS_NONE();
	if (errors_throw_library_failure()) {
		RETURN_THROWS();
	}
	const struct subscription *subscription = subscribe(true);
	if (!subscription) {
		RETURN_THROWS();
	}
	array_init(return_value);
	for (size_t i = 0; i <= CAPACITY; i++) {
		pay88_event *event = NULL;
		if (libpay88.events_next(subscription->queue, 0, &event, NULL) != PAY88_OK || !event) {
			return;
		}
		zval decoded;
		pay88_str text = libpay88.event_json(event);
		zend_try {
			json_decode(&decoded, text.data, text.len, JSON_DECODE_ARRAYS);
		} zend_catch {
			libpay88.event_release(event);
			zend_bailout();
		} zend_end_try();
		libpay88.event_release(event);
		add_next_index_zval(return_value, &decoded);
	}
}
