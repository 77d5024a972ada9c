dnl phpize && ./configure && make
dnl
dnl --with-pay88[=DIR] says where pay88.h is: in DIR/include, else where pkg-config knows it, else in the include directory
dnl beside this one. The library is not linked: MINIT opens the copy that the process has, else the one beside pay88.so, else
dnl the one that pkg-config named here.
PHP_ARG_WITH([pay88],
  [for pay88],
  [AS_HELP_STRING([[--with-pay88[=DIR]]], [Include pay88; DIR is the prefix of its header and library])],
  [yes])

if test "$PHP_PAY88" != "no"; then
  AC_PATH_PROG([PKG_CONFIG], [pkg-config], [no])
  PAY88_INCLUDE=
  PAY88_LIBRARY_DIRECTORY=
  if test "$PHP_PAY88" != "yes"; then
    PAY88_INCLUDE="$PHP_PAY88/include"
    PAY88_LIBRARY_DIRECTORY="$PHP_PAY88/lib"
  elif test -f "$abs_srcdir/pay88.h"; then
    PAY88_INCLUDE="$abs_srcdir"
  elif test -f "$abs_srcdir/../include/pay88.h"; then
    PAY88_INCLUDE="$abs_srcdir/../include"
  elif test "$PKG_CONFIG" != "no" && $PKG_CONFIG --exists pay88; then
    PAY88_INCLUDE=$($PKG_CONFIG --variable=includedir pay88)
    PAY88_LIBRARY_DIRECTORY=$($PKG_CONFIG --variable=libdir pay88)
  fi
  AC_MSG_CHECKING([for pay88.h])
  if test ! -f "$PAY88_INCLUDE/pay88.h"; then
    AC_MSG_RESULT([no])
    AC_MSG_ERROR([pay88.h was not found: install the C library of pay88, and name its prefix with --with-pay88=DIR or its pay88.pc in PKG_CONFIG_PATH])
  fi
  AC_MSG_RESULT([$PAY88_INCLUDE])
  PHP_ADD_INCLUDE([$PAY88_INCLUDE])
  if test -n "$PAY88_LIBRARY_DIRECTORY"; then
    AC_DEFINE_UNQUOTED([PAY88_LIBRARY_DIRECTORY], ["$PAY88_LIBRARY_DIRECTORY"], [Where libpay88.so.0 is if it is not beside the extension.])
  fi

  dnl The library hands out pointers into the extension and back, and its threads may outlive PHP: neither is ever unmapped.
  PAY88_SHARED_LIBADD="-Wl,-z,nodelete -ldl"
  PHP_SUBST([PAY88_SHARED_LIBADD])
  PHP_NEW_EXTENSION([pay88],
    [pay88.c environment.c errors.c events.c interrupt.c json.c library.c options.c program.c request.c response.c token_manager.c],
    [$ext_shared],,
    [-fvisibility=hidden -DZEND_ENABLE_STATIC_TSRMLS_CACHE=1])
  PHP_ADD_EXTENSION_DEP([pay88], [json])
fi
