//! What a message may show of a text that the user typed.

/// Nothing if it has a password, or a key in the wrong place; otherwise its beginning, escaped.
pub(crate) fn shown(text: &str) -> String {
    if ["sk_test_", "sk_live_", "@"]
        .iter()
        .any(|mark| text.contains(mark))
    {
        return "…".to_owned();
    }
    escaped(text, 200)
}

/// So many characters of it, those that control escaped (`\u{0}`): without them it would look like another text.
pub(crate) fn escaped(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in text.chars().take(most) {
        match c.is_control() {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}
