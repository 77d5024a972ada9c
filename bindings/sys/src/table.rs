//! The tables that all languages share: options, error codes and events.

use crate::Library;
use crate::handle::text;

/// A row of the table of options.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// The name in snake case.
    pub name: &'static str,
    /// How its text is read: "text", "secret", "seconds", "count", "bytes" or "path".
    pub kind: &'static str,
    /// What holds when it is set nowhere, in words where there is no value.
    pub default: &'static str,
}

impl Library {
    /// Every option, in the order of the documentation.
    pub fn options(self) -> impl Iterator<Item = OptionRow> {
        let functions = self.functions;
        // SAFETY: it has no arguments.
        let count = unsafe { (functions.pay88_option_count)() };
        (0..count).map(move |index| {
            // SAFETY: any index may be asked for, and the texts are valid for ever.
            unsafe {
                OptionRow {
                    name: text((functions.pay88_option_name)(index)),
                    kind: text((functions.pay88_option_kind)(index)),
                    default: text((functions.pay88_option_default)(index)),
                }
            }
        })
    }

    /// Every error code, such as "rate_limited".
    pub fn error_codes(self) -> impl Iterator<Item = &'static str> {
        let functions = self.functions;
        // SAFETY: it has no arguments.
        let count = unsafe { (functions.pay88_status_count)() };
        (0..count).map(move |index| {
            // SAFETY: any index and any number may be asked for, and the text is valid for ever.
            unsafe {
                let status = (functions.pay88_status_at)(index);
                text((functions.pay88_status_name)(status as _))
            }
        })
    }

    /// Every name of an event, such as "token_issued".
    pub fn event_names(self) -> impl Iterator<Item = &'static str> {
        let functions = self.functions;
        // SAFETY: it has no arguments.
        let count = unsafe { (functions.pay88_event_kind_count)() };
        // SAFETY: any index may be asked for, and the text is valid for ever.
        (0..count).map(move |index| unsafe { text((functions.pay88_event_kind_name)(index)) })
    }
}
