/* Managers: tokens, and calls that are authenticated with them. */
#ifndef PAY88_TOKEN_MANAGER_H
#define PAY88_TOKEN_MANAGER_H

#include "php.h"

/* Called in MINIT, with the class that was registered. */
void token_manager_prepare(zend_class_entry *class);

#endif
