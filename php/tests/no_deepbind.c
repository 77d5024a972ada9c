/* PHP loads extensions with RTLD_DEEPBIND, which AddressSanitizer refuses: its own malloc would not be found. Preloaded, this
 * takes the flag off. */
#define _GNU_SOURCE
#include <dlfcn.h>

void *dlopen(const char *file, int flags)
{
	void *(*next)(const char *, int);
	*(void **)&next = dlsym(RTLD_NEXT, "dlopen");
	return next(file, flags & ~RTLD_DEEPBIND);
}
