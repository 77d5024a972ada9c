//! Finds the process's copy of libpay88, or loads the one of a directory.
//!
//! Promises: whoever loads, in whatever order and at the same moment, all get one copy. What was loaded stays loaded.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use once_cell::race::OnceRef;

use crate::abi::{Functions, PAY88_ABI_VERSION, Symbol};

/// The name under which the dynamic loader knows libpay88, which is also its file's name.
pub const SONAME: &str = "libpay88.so.0";

const SONAME_C: &CStr = c"libpay88.so.0";

/// The library of this process.
#[derive(Clone, Copy)]
pub struct Library {
    pub(crate) functions: &'static Functions,
}

/// Why there is no library: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Library").field(&self.version()).finish()
    }
}

impl Library {
    /// The copy that the process has, whoever loaded it, else the one beside the shared object that contains this code. It is
    /// looked for once.
    ///
    /// # Errors
    /// As [`Library::load`]; the next call looks again.
    pub fn of_process() -> Result<Library, LoadError> {
        // Several threads may load at once: one that waited for another would wait for ever in a child that is forked
        // meanwhile.
        static FUNCTIONS: OnceRef<'static, Functions> = OnceRef::new();
        let load = || Library::load(&own_directory().unwrap_or_default());
        let functions = FUNCTIONS.get_or_try_init(|| load().map(|library| library.functions))?;
        Ok(Library { functions })
    }

    /// The copy that the process has, whoever loaded it, else the file [`SONAME`] in `directory`.
    ///
    /// # Errors
    /// If there is none, it cannot be loaded, or its ABI is not the one that this crate was built for.
    pub fn load(directory: &Path) -> Result<Library, LoadError> {
        let object = match Object::of_process() {
            Some(object) => object,
            None => {
                let path = directory.join(SONAME);
                Object::from_file(&path)?;
                // Two may come here at the same moment with two files; the loader's answer is the same for both.
                Object::of_process().ok_or_else(|| {
                    LoadError(format!(
                        "{} was renamed: its soname is not {SONAME}.",
                        path.display()
                    ))
                })?
            }
        };
        object.check_version()?;
        // SAFETY: the version says that its ABI is that of the header, and it is never closed.
        let functions = unsafe { Functions::resolve(|name| object.symbol(name)) }?;
        Ok(Library {
            functions: Box::leak(Box::new(functions)),
        })
    }

    /// The version of the library, such as "0.1.0".
    pub fn version(self) -> &'static str {
        // SAFETY: the text is followed by a NUL and valid for ever, the header says.
        let text = unsafe { CStr::from_ptr((self.functions.pay88_version)()) };
        text.to_str().unwrap_or_default()
    }
}

/// The directory of the shared object (or program) that contains this code: where an extension finds what lies beside it.
pub fn own_directory() -> Option<PathBuf> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let here: fn() -> Option<PathBuf> = own_directory;
    // SAFETY: any address may be asked about, and `info` may be written to.
    let found = unsafe { libc::dladdr(here as *const c_void, info.as_mut_ptr()) } != 0;
    // SAFETY: all its bytes are valid as zeros, whatever dladdr did.
    let info = unsafe { info.assume_init() };
    if !found || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr gives the NUL-terminated path of an object that is loaded.
    let path = unsafe { CStr::from_ptr(info.dli_fname) };
    let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_bytes().to_vec()));
    // A program's name may be relative, to the directory it was started in; an extension's path is made absolute early.
    path.canonicalize().ok()?.parent().map(Path::to_path_buf)
}

/// A shared object of this process; never closed.
#[derive(Clone, Copy)]
struct Object(NonNull<c_void>);

impl Object {
    fn open(name: &CStr, flags: c_int) -> Option<Object> {
        // SAFETY: the name is NUL-terminated; libpay88 runs no code of its own when it is loaded.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | flags) };
        NonNull::new(handle).map(Object)
    }

    /// The one that the process has under the soname.
    fn of_process() -> Option<Object> {
        Self::open(SONAME_C, libc::RTLD_NOLOAD)
    }

    fn from_file(path: &Path) -> Result<Object, LoadError> {
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| LoadError(format!("{path:?} is no path.")))?;
        if !path.exists() {
            return Err(LoadError(format!(
                "{SONAME} is missing in {}: install pay88 again, or, if a bundler made this program, have it take that file \
                 along as pay88's README says.",
                path.parent().unwrap_or(path).display()
            )));
        }
        Self::open(&name, libc::RTLD_LOCAL).ok_or_else(|| {
            LoadError(format!(
                "{SONAME} cannot be loaded: {}.",
                last_loader_error()
            ))
        })
    }

    fn symbol(self, name: &CStr) -> Result<Symbol, LoadError> {
        // SAFETY: the object is loaded and the name NUL-terminated.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        NonNull::new(address).ok_or_else(|| {
            LoadError(format!(
                "The loaded {SONAME} has no function {}; install pay88 again.",
                name.to_string_lossy()
            ))
        })
    }

    fn check_version(self) -> Result<(), LoadError> {
        let symbol = self.symbol(c"pay88_abi_version")?;
        // SAFETY: this one function is the same in every version of the ABI.
        let version =
            unsafe { std::mem::transmute::<Symbol, unsafe extern "C" fn() -> u32>(symbol) };
        // SAFETY: as above; it has no arguments.
        let version = unsafe { version() };
        let (major, minor) = (version >> 16, version & 0xffff);
        let (needed_major, needed_minor) = (PAY88_ABI_VERSION >> 16, PAY88_ABI_VERSION & 0xffff);
        if major == needed_major && minor >= needed_minor {
            return Ok(());
        }
        Err(LoadError(format!(
            "The {SONAME} of this process has ABI version {major}.{minor}, but {needed_major}.{needed_minor} or a later \
             {needed_major}.x is needed; install the same release of pay88 for all languages of the process."
        )))
    }
}

/// What dlopen complained about, on this thread.
fn last_loader_error() -> String {
    // SAFETY: it has no arguments, and keeps its answer apart for each thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the loader does not say why".to_owned();
    }
    // SAFETY: not NULL, so it is NUL-terminated text, valid until the next call on this thread.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}
