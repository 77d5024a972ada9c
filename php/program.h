/*
 * What the program has under a name.
 *
 * PHP loads extensions so that they find what the C library has before what the program has (RTLD_DEEPBIND). Where a program
 * has a thing of its own, that one counts.
 */
#ifndef PAY88_PROGRAM_H
#define PAY88_PROGRAM_H

/* The address of the program's function or variable of this name; other if it has none. */
void *program_symbol(const char *name, void *other);

#endif
