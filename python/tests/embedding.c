/* A program that links libpay88 and embeds Python: gets a token, prints its own manager's number, then runs its argument as
   Python. libpython is loaded by its path, so that no headers of Python are needed. */

#include <dlfcn.h>
#include <stdio.h>

#include "pay88.h"

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    pay88_config *config = pay88_config_new();
    pay88_manager *manager = NULL;
    pay88_token *token = NULL;
    if (pay88_manager_new(config, &manager, NULL) != PAY88_OK) return 3;
    if (pay88_manager_get_token(manager, 20000, NULL, NULL, &token, NULL) != PAY88_OK) return 3;
    pay88_token_release(token);
    printf("%llu\n", (unsigned long long)pay88_manager_id(manager));
    fflush(stdout);

    void *python = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (!python) {
        fprintf(stderr, "%s\n", dlerror());
        return 4;
    }
    void (*initialize)(void) = (void (*)(void))dlsym(python, "Py_Initialize");
    int (*run)(const char *, void *) = (int (*)(const char *, void *))dlsym(python, "PyRun_SimpleStringFlags");
    int (*finalize)(void) = (int (*)(void))dlsym(python, "Py_FinalizeEx");
    initialize();
    int failed = run(argv[2], NULL);
    failed |= finalize();
    pay88_manager_release(manager);
    pay88_config_release(config);
    return failed ? 5 : 0;
}
