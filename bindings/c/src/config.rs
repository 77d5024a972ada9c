//! What a manager is built from: options by name, so that a new option is no new function.

use std::ffi::c_char;

use pay88::Config;

use crate::boundary::{release, silence_panics, status, value};
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::status::pay88_status;
use crate::text::{MAX_NAME, MAX_VALUE, text};

/// The most of a name or value in an environment: the kernel takes 128 KiB of both together.
const MAX_VARIABLE: usize = 1 << 20;

/// Options by name. To be used by one thread at a time.
pub struct pay88_config(pub(crate) Config);

/// A configuration with nothing set: every option comes from its environment variable, EIGHTY_EIGHT_PAY_ and its name in
/// capitals, else it has its default. The environment is read when a manager is built. Release it with
/// pay88_config_release().
#[unsafe(no_mangle)]
pub extern "C" fn pay88_config_new() -> *mut pay88_config {
    silence_panics();
    value(|| Some(give(pay88_config(Config::new()))))
}

/// As pay88_config_new(), but the environment is not looked at: neither for options nor for HTTPS_PROXY and its like,
/// SSL_CERT_FILE, SSL_CERT_DIR and XDG_RUNTIME_DIR.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_config_new_without_environment() -> *mut pay88_config {
    silence_panics();
    value(|| Some(give(pay88_config(Config::without_environment()))))
}

/// Sets an option; see pay88_option_name() for the names. The value is text, as in the environment variable ("2.5" for
/// seconds), and is copied. It is checked when a manager is built.
///
/// Limits: name 256 bytes, value 64 KiB.
/// Errors: PAY88_CONFIG_INVALID for an unknown name, text that is no UTF-8, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_config_set(
    config: Option<&mut pay88_config>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status(error, || {
        let config = given(config, "config")?;
        // SAFETY: the header demands readable bytes for every length.
        let name = unsafe { text(name, name_len, MAX_NAME, "name") }?;
        // SAFETY: as above.
        let value = unsafe { text(value, value_len, MAX_VALUE, "value") }?;
        config.0.set(name, value)
    })
}

/// Gives an environment variable as it is to be read in place of the process's own, for a program whose environment is not
/// that of its process, such as a worker or a test that has one of its own. Begin with
/// pay88_config_new_without_environment(): what is not given counts as unset. Both texts are copied. Names that the library
/// does not read are ignored, so that a whole environment can be given; so is all of it in a program that runs with rights
/// which its user does not have.
///
/// Limits: name 1 MiB, value 1 MiB, which is more than an environment can hold.
/// Errors: PAY88_CONFIG_INVALID for text that is too long or no UTF-8, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_config_set_variable(
    config: Option<&mut pay88_config>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status(error, || {
        let config = given(config, "config")?;
        // SAFETY: the header demands readable bytes for every length.
        let name = unsafe { text(name, name_len, MAX_VARIABLE, "name") }?;
        // SAFETY: as above.
        let value = unsafe { text(value, value_len, MAX_VARIABLE, "value") }?;
        config.0.set_variable(name, value);
        Ok(())
    })
}

/// Releases it. Managers built from it live on. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_config_release(config: Option<Box<pay88_config>>) {
    release(config);
}
