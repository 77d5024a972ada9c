/* Exceptions: those of the library, and those of this extension's own. */
#ifndef PAY88_ERRORS_H
#define PAY88_ERRORS_H

#include "php.h"

#include "pay88.h"

extern zend_class_entry *pay88_exception;

/* Called in MINIT with the class of each status; `pay88_exception` is the class of all others. */
void errors_set_class(pay88_status status, zend_class_entry *class);

/* Throws what the library said, and releases it. */
void errors_throw(pay88_error *error);

/* The exception, not thrown; NULL where PHP could not make one. Releases the error. */
zend_object *errors_make(pay88_error *error);

/* Throws what one of these functions made. */
void errors_throw_object(zend_object *exception);

/* Throws an exception of this extension's own: nothing was sent. The hint may be NULL. */
ZEND_COLD void errors_throw_not_sent(pay88_status status, const char *hint, const char *format, ...)
	ZEND_ATTRIBUTE_FORMAT(printf, 3, 4);

/* Throws that what has this name is of a type that is not taken. The value is not shown: it may be a secret. */
ZEND_COLD void errors_throw_type(const char *kind, const zend_string *name, const zval *value, const char *hint);

/* A name that a program typed, as a message shows it: whole, and control characters, which a NUL is too, as \u{0}. To be released. */
zend_string *errors_shown(const zend_string *name);

/* Throws if there is no library, of which no function may be called then. False if there is one. */
bool errors_throw_library_failure(void);

/* As errors_make(), of this extension's own. The response may be NULL. */
zend_object *errors_make_own(pay88_status status, const char *outcome, const char *message, const char *hint, zend_object *response);

#endif
