/* Answers of 88Pay. */
#ifndef PAY88_RESPONSE_H
#define PAY88_RESPONSE_H

#include "php.h"

#include "pay88.h"

extern zend_class_entry *pay88_response_class;

/* Called in MINIT, with the class that was registered. */
void response_prepare(zend_class_entry *class);

/* Makes an object without an answer. It is made before anything is sent: once an answer is there, no lack of memory is to
 * lose it. */
void response_init(zval *object);
void response_fill(zend_object *object, pay88_response *answer);

zend_long response_status(zend_object *object);

/* Decodes the body into the result. False if an exception was thrown. */
bool response_decode(zend_object *object, zval *result, zend_long flags);

#endif
