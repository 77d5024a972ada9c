//! What a manager is built from: options by name, so that a new option is no new function.

use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use pay88::{Config, OPTIONS};

use crate::boundary::{boundary, silence_panics};
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::status::pay88_status;
use crate::text::{MAX_NAME, MAX_VALUE, bytes, text};

/// The most of a name or value in an environment: the kernel takes 128 KiB of both together.
const MAX_VARIABLE: usize = 1 << 20;

/// A set of options. Only one thread may use it at a time.
pub struct pay88_config(pub(crate) Config);

/// Creates a configuration in which no option is set. An option that is not set comes from its environment variable:
/// EIGHTY_EIGHT_PAY_ and the name of the option in capitals. Without the variable the option has its default. The
/// environment is read when a manager is built. Release the configuration with pay88_config_release().
#[unsafe(no_mangle)]
pub extern "C" fn pay88_config_new() -> *mut pay88_config {
    boundary!(value, || {
        silence_panics();
        Some(give(pay88_config(Config::new())))
    })
}

/// As pay88_config_new(), but the environment is not read: not for options, and not for HTTPS_PROXY, ALL_PROXY,
/// NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR and XDG_RUNTIME_DIR.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_config_new_without_environment() -> *mut pay88_config {
    boundary!(value, || {
        silence_panics();
        Some(give(pay88_config(Config::without_environment())))
    })
}

/// Sets an option. pay88_option_name() lists the names. The value is text, as in the environment variable ("2.5" for
/// seconds). The library copies it, and checks it when a manager is built.
///
/// Limits: name 256 bytes, value 64 KiB.
/// Errors: PAY88_CONFIG_INVALID for an unknown name, text that is not UTF-8, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_config_set(
    config: Option<&mut pay88_config>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let config = given(config, "config")?;
        // SAFETY: the header demands readable bytes for every length.
        let name = unsafe { text(name, name_len, MAX_NAME, "name") }?;
        // An unknown name is not shown, since it may be anything.
        let what = match OPTIONS.iter().any(|option| option.name == name) {
            true => format!("value of {name}"),
            false => "value".to_owned(),
        };
        // SAFETY: as above.
        let value = unsafe { text(value, value_len, MAX_VALUE, &what) }?;
        config.0.set(name, value)
    })
}

/// Passes one environment variable, to be read in place of the one of the process. Use it if a part of your program
/// has an environment of its own, such as a worker or a test. Start with pay88_config_new_without_environment(), so
/// that a variable that you do not pass counts as not set. Both texts are copied. The value may be any bytes, as in the
/// environment: if an option is read from it, pay88_manager_new() refuses it by the variable's name.
///
/// You can pass a whole environment, because names that the library does not read are ignored. In a program that runs
/// with more rights than its user has (setuid, setgid, capabilities) all variables are ignored.
///
/// Limits: name 1 MiB, value 1 MiB, which is more than an environment can hold.
/// Errors: PAY88_CONFIG_INVALID for text that is too long, a name that is not UTF-8, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_config_set_variable(
    config: Option<&mut pay88_config>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let config = given(config, "config")?;
        // SAFETY: the header demands readable bytes for every length.
        let name = unsafe { text(name, name_len, MAX_VARIABLE, "name") }?;
        // SAFETY: as above.
        let value = unsafe { bytes(value.cast(), value_len, MAX_VARIABLE, "value") }?;
        config.0.set_variable(name, OsStr::from_bytes(value));
        Ok(())
    })
}

/// Releases the configuration. Managers that were built from it are not affected. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_config_release(config: Option<Box<pay88_config>>) {
    boundary!(release(config));
}
