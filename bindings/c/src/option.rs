//! The core's table of options, for languages and tools that follow it.

use pay88::{OPTIONS, OptionKind};

use crate::boundary::boundary;
use crate::view::pay88_str;

/// The number of options.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_option_count() -> usize {
    boundary!(value, || Some(OPTIONS.len()))
}

/// The name of the option at an index below pay88_option_count(), for pay88_config_set(); empty for a higher index.
/// Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_option_name(index: usize) -> pay88_str {
    boundary!(value, || Some(OPTIONS.get(index)?.name.into()))
}

/// How the text of the option at an index is read: "text", "secret", "seconds", "count", "bytes" or "path". Later
/// releases may add some. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_option_kind(index: usize) -> pay88_str {
    boundary!(value, || {
        let kind = match OPTIONS.get(index)?.kind {
            OptionKind::Text => "text",
            OptionKind::Secret => "secret",
            OptionKind::Seconds => "seconds",
            OptionKind::Count => "count",
            OptionKind::Bytes => "bytes",
            OptionKind::Path => "path",
        };
        Some(kind.into())
    })
}

/// The value of the option at an index if it is set nowhere. If that is no fixed value, it is described in words.
/// Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_option_default(index: usize) -> pay88_str {
    boundary!(value, || Some(OPTIONS.get(index)?.default.into()))
}

/// What the option at an index does. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_option_summary(index: usize) -> pay88_str {
    boundary!(value, || Some(OPTIONS.get(index)?.summary.into()))
}
