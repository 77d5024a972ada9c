#include "php_pay88.h"

#include "zend_exceptions.h"
#include "zend_fibers.h"

#include "interrupt.h"

#if PHP_VERSION_ID >= 80200
#define FLAG_IS_SET(flag) zend_atomic_bool_load_ex(flag)
#define FLAG_CLEAR(flag) zend_atomic_bool_store_ex(flag, false)
#else
#define FLAG_IS_SET(flag) (*(flag))
#define FLAG_CLEAR(flag) (*(flag) = false)
#endif

int wait_interrupt(void *data)
{
	struct wait *wait = data;
	if (!FLAG_IS_SET(&EG(vm_interrupt))) {
		return 0;
	}
	/* Cleared first, as PHP itself does: what comes in between sets it again. */
	FLAG_CLEAR(&EG(vm_interrupt));
	if (FLAG_IS_SET(&EG(timed_out))) {
		wait->timed_out = true;
		return 1;
	}
	if (!zend_interrupt_function) {
		return 0;
	}
	/* A fiber that is left here would leave the library in the middle of a call, on a stack that may never come back. */
	zend_fiber_switch_block();
	zend_try {
		zend_interrupt_function(EG(current_execute_data));
	} zend_catch {
		wait->bailed_out = true;
	} zend_end_try();
	zend_fiber_switch_unblock();
	wait->threw = EG(exception) != NULL;
	return wait->threw || wait->bailed_out;
}

void wait_end(const struct wait *wait)
{
	if (wait->bailed_out) {
		zend_bailout();
	}
	if (wait->timed_out) {
		zend_timeout();
	}
}
