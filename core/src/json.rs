//! JSON as it comes in answers, read as other clients read it.
//!
//! Promises: valid JSON is read unchanged. Only where that fails, a byte-order mark is left out, and escapes of half
//! a character (`\ud800`) and bytes that are not UTF-8 are replaced by U+FFFD, as browsers do it. Copies are zeroed.

use serde_json::{Error, Value};
use zeroize::Zeroizing;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const REPLACEMENT: &[u8; 6] = br"\ufffd";
const REPLACEMENT_LENGTH: usize = char::REPLACEMENT_CHARACTER.len_utf8();

/// The value of a body.
///
/// # Errors
/// What is wrong with it, as it came.
pub(crate) fn read(body: &[u8]) -> Result<Value, Error> {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    serde_json::from_slice(text)
        .or_else(|error| serde_json::from_slice(&repaired(text)).map_err(|_| error))
}

fn repaired(text: &[u8]) -> Zeroizing<Vec<u8>> {
    // As large as it can become, from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(REPLACEMENT_LENGTH * text.len()));
    for chunk in text.utf8_chunks() {
        bytes.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            bytes.extend_from_slice(
                char::REPLACEMENT_CHARACTER
                    .encode_utf8(&mut [0; 4])
                    .as_bytes(),
            );
        }
    }
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (half, next) = (surrogate(rest), rest.get(6..).and_then(surrogate));
        at += match (rest, half, next) {
            (_, Some(Half::First), Some(Half::Second)) => 12,
            (_, Some(_), _) => {
                if let Some(escape) = bytes.get_mut(at..at + 6) {
                    escape.copy_from_slice(REPLACEMENT);
                }
                6
            }
            // An escape, which may be that of a backslash.
            ([b'\\', ..], None, _) => 2,
            _ => 1,
        };
    }
    bytes
}

/// Half of a character, as UTF-16 has it.
#[derive(Clone, Copy)]
enum Half {
    First,
    Second,
}

/// The half that the escape at the beginning of `text` stands for.
fn surrogate(text: &[u8]) -> Option<Half> {
    let digits = std::str::from_utf8(text.strip_prefix(br"\u")?.get(..4)?).ok()?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::First),
        0xdc00..=0xdfff => Some(Half::Second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &[u8]) -> Option<String> {
        read(body).ok()?.as_str().map(str::to_owned)
    }

    #[test]
    fn halves_of_characters_are_replaced_and_whole_ones_stay() {
        for (body, read) in [
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\uD800\n""#, "\u{fffd}\n"),
            // A backslash that is itself escaped begins no escape.
            (r#""\\ud800\ud800""#, "\\ud800\u{fffd}"),
            (r#""\\\ud800""#, "\\\u{fffd}"),
        ] {
            assert_eq!(text(body.as_bytes()).as_deref(), Some(read), "{body}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_left_out_and_bytes_that_are_no_text_are_replaced() {
        assert_eq!(text(b"\xef\xbb\xbf\"x\"").as_deref(), Some("x"));
        assert_eq!(
            text(b"\"\xff\xed\xa0\x80x\"").as_deref(),
            Some("\u{fffd}\u{fffd}\u{fffd}\u{fffd}x")
        );
    }

    #[test]
    fn what_is_no_json_stays_none_and_is_told_as_it_came() {
        for body in [
            &b""[..],
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbf\xef\xbb\xbf1",
            b"{",
            br#""\ud8"#,
            br#""\ud800"#,
            br#""\u+123""#,
            br"\",
            b"\xff",
            br#"{"a":"\ud800"}}"#,
        ] {
            assert!(read(body).is_err(), "{body:?}");
        }
        let error = read(b"{\n\"a\":\"\\ud800\"").unwrap_err();
        assert_eq!(error.line(), 2);
    }
}
