#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SONAME "libpay88.so.0"

struct library libpay88;

static char failure[2 * PATH_MAX];
static char path[PATH_MAX];

const char *library_failure(void)
{
	return failure[0] ? failure : NULL;
}

const char *library_path(void)
{
	return path;
}

/* The one that the process has under the soname, whoever loaded it. */
static void *of_process(void)
{
	return dlopen(SONAME, RTLD_NOW | RTLD_NOLOAD);
}

/* Where the file of an address is, symlinks resolved: $ORIGIN would be where the symlink is. */
static bool file_of(const void *address, char resolved[PATH_MAX])
{
	Dl_info info;
	return dladdr(address, &info) && info.dli_fname && realpath(info.dli_fname, resolved);
}

/* The path of the library beside this extension, else where pkg-config named it at build time. */
static bool find_file(char file[PATH_MAX])
{
	char own[PATH_MAX];
	if (file_of((const void *)&library_load, own)) {
		*strrchr(own, '/') = 0;
		if (snprintf(file, PATH_MAX, "%s/" SONAME, own) < PATH_MAX && access(file, F_OK) == 0) {
			return true;
		}
		snprintf(failure, sizeof failure, SONAME " is missing in %s: it belongs beside the extension; install pay88 again.", own);
	}
#ifdef PAY88_LIBRARY_DIRECTORY
	snprintf(file, PATH_MAX, "%s/" SONAME, PAY88_LIBRARY_DIRECTORY);
	if (access(file, F_OK) == 0) {
		failure[0] = 0;
		return true;
	}
#endif
	if (!failure[0]) {
		snprintf(failure, sizeof failure, SONAME " cannot be found: it belongs beside the extension; install pay88 again.");
	}
	return false;
}

static void *find_object(void)
{
	void *object = of_process();
	if (object) {
		return object;
	}
	char file[PATH_MAX];
	if (!find_file(file)) {
		return NULL;
	}
	if (!dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
		const char *why = dlerror();
		snprintf(failure, sizeof failure, SONAME " cannot be loaded: %s.", why ? why : "the loader does not say why");
		return NULL;
	}
	/* Two may come here at the same moment with two files; the loader's answer is the same for both. */
	object = of_process();
	if (!object) {
		snprintf(failure, sizeof failure, "%s was renamed: its soname is not " SONAME ".", file);
	}
	return object;
}

static void *find_function(void *object, const char *name)
{
	void *function = dlsym(object, name);
	if (!function && !failure[0]) {
		snprintf(failure, sizeof failure, "The loaded " SONAME " has no function %s; install pay88 again.", name);
	}
	return function;
}

static bool check_version(void *object)
{
	__typeof__(&pay88_abi_version) abi_version;
	*(void **)&abi_version = find_function(object, "pay88_abi_version");
	if (!abi_version) {
		return false;
	}
	const uint32_t version = abi_version(), needed = PAY88_ABI_VERSION;
	/* Equal major versions, and a minor version that is not less. */
	if (version >> 16 == needed >> 16 && version >= needed) {
		return true;
	}
	snprintf(failure, sizeof failure,
		"The " SONAME " of this process has ABI version %u.%u, but %u.%u or a later %u.x is needed; install the same release of "
		"pay88 for all languages of the process.",
		version >> 16, version & 0xffff, needed >> 16, needed & 0xffff, needed >> 16);
	return false;
}

void library_load(void)
{
	/* A program may start PHP more than once, and the extension is never unloaded in between. */
	failure[0] = path[0] = 0;
	void *object = find_object();
	if (!object || !check_version(object)) {
		return;
	}
#define FIND(name) *(void **)&libpay88.name = find_function(object, "pay88_" #name);
	LIBRARY_FUNCTIONS(FIND)
#undef FIND
	if (failure[0]) {
		return;
	}
	char file[PATH_MAX];
	if (file_of((const void *)libpay88.version, file)) {
		strcpy(path, file);
	}
}
