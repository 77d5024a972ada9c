/*
 * A program that starts PHP several times, as Apache does when it is told to reload: again EXTENSION LIBRARY
 *
 * EXTENSION lies without the library at first, which is put beside it, from LIBRARY, for the second start. The extension stays
 * loaded in between.
 */
#define _GNU_SOURCE
#include <php.h>
#include <php_main.h>
#include <SAPI.h>
#include <sapi/embed/php_embed.h>

static char settings[] = "/tmp/pay88-again-XXXXXX";

/* What the program says in a PHP of its own. */
static int says(const char *expected, const char *program)
{
	php_embed_module.php_ini_path_override = settings;
	if (php_embed_init(0, NULL) != SUCCESS) {
		return 0;
	}
	int same = 0;
	zval result;
	zend_first_try {
		if (zend_eval_string_ex(program, &result, "again", true) == SUCCESS && Z_TYPE(result) == IS_STRING) {
			same = !strcmp(Z_STRVAL(result), expected);
			if (!same) {
				fprintf(stderr, "expected %s, got %s\n", expected, Z_STRVAL(result));
			}
			zval_ptr_dtor(&result);
		}
	} zend_end_try();
	php_embed_shutdown();
	return same;
}

static const char program[] =
	"(function () {"
	/* What is left is the environment of the process. */
	"    $_ENV = $_SERVER = [];"
	"    try { $tm = new Pay88\\TokenManager; } catch (Pay88\\Exception\\InternalException $e) { return 'missing'; }"
	"    return implode(' ', [$tm->managerId(), count($tm->getToken()), ini_get('pay88.api_key'), get_cfg_var('pay88.api_key')]);"
	"})()";

int main(int argc, char **argv)
{
	/* A program that names it has a copy of it, and the C library changes the copy. */
	if (argc != 3 || !environ) {
		fprintf(stderr, "usage: %s EXTENSION LIBRARY\n", argv[0]);
		return 2;
	}
	int file = mkstemp(settings);
	dprintf(file, "extension=%s\npay88.api_key=%s\ndisplay_startup_errors=0\nlog_errors=0\n", argv[1], getenv("EIGHTY_EIGHT_PAY_API_KEY"));
	close(file);
	unsetenv("EIGHTY_EIGHT_PAY_API_KEY");
	int right = says("missing", program);
	char command[8192];
	snprintf(command, sizeof command, "cp %s $(dirname %s)/libpay88.so.0", argv[2], argv[1]);
	right += system(command) == 0;
	right += says("1 3  ", program);
	/* The library goes on: it has the manager and its token. */
	right += says("1 3  ", program);
	unlink(settings);
	printf("%d of 4 were right\n", right);
	return right == 4 ? 0 : 1;
}
