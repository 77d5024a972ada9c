//! Reads the head of an answer line by line, before hyper parses it.
//!
//! hyper is told to accept what servers get wrong: a space before the colon, a folded value, a line that is not a
//! header (which it leaves out). Two things are not left to it. The headers that say where an answer ends must be
//! exactly right; otherwise one answer could be taken for another. And a line that cannot be accepted at all is
//! named, which hyper does not do. The value of a header is never shown.

use std::fmt;
use std::io;

/// The headers that say where an answer ends.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// How much of a name is shown at most.
const SHOWN: usize = 40;

/// A line of a head that makes the answer unusable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnreadableHeader(String);

impl fmt::Display for UnreadableHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read", self.0)
    }
}

impl std::error::Error for UnreadableHeader {}

/// Checks the answers of one connection while they are read.
#[derive(Default)]
pub(super) struct HeadReader {
    /// The beginning of a head that is not complete; `None` after the head.
    part: Option<Vec<u8>>,
}

impl HeadReader {
    /// A request was sent, so a head comes next.
    pub(super) fn begin(&mut self) {
        self.part = Some(Vec::new());
    }

    /// Checks the bytes that were read next.
    ///
    /// # Errors
    /// [`UnreadableHeader`], as invalid data.
    pub(super) fn read(&mut self, data: &[u8]) -> io::Result<()> {
        let Some(mut part) = self.part.take() else {
            return Ok(());
        };
        let searched = part.len();
        let mut rest = if part.is_empty() {
            data
        } else {
            part.extend_from_slice(data);
            &part[..]
        };
        let mut from = searched;
        while let Some(end) = end_of_head(rest, from) {
            let (head, behind) = rest.split_at(end);
            if let Some(unreadable) = find_unreadable(head) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, unreadable));
            }
            // Another head follows an interim answer.
            if !is_interim(head) {
                return Ok(());
            }
            (rest, from) = (behind, 0);
        }
        self.part = Some(rest.to_vec());
        Ok(())
    }
}

/// The length of the head at the beginning of `bytes`. Its end is not in the first `searched` bytes.
fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    let begin = bytes.iter().position(|b| !b"\r\n".contains(b))?;
    let mut from = searched.saturating_sub(3).max(begin);
    loop {
        let newline = from + bytes[from..].iter().position(|&b| b == b'\n')?;
        match bytes[newline + 1..] {
            [b'\n', ..] => return Some(newline + 2),
            [b'\r', b'\n', ..] => return Some(newline + 3),
            _ => from = newline + 1,
        }
    }
}

fn is_interim(head: &[u8]) -> bool {
    // 101 ends HTTP: no head follows it.
    let status = head.split(|&b| b == b' ').nth(1).unwrap_or_default();
    status.starts_with(b"1") && !status.starts_with(b"101")
}

/// The first line that nobody can read, or that says where the answer ends and is not exactly right.
pub(super) fn find_unreadable(head: &[u8]) -> Option<UnreadableHeader> {
    let begin = head.iter().position(|b| !b"\r\n".contains(b))?;
    let mut lines = head[begin..]
        .split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .skip(1)
        .peekable();
    while let Some(line) = lines.next() {
        let folded = lines
            .peek()
            .is_some_and(|next| next.starts_with(b" ") || next.starts_with(b"\t"));
        let lost = line.contains(&0) || line.contains(&b'\r');
        if lost || (is_framing(line) && (folded || !is_exact(line))) {
            return Some(UnreadableHeader(name_of(line)));
        }
    }
    None
}

/// Whether a line is meant to say where the answer ends.
fn is_framing(line: &[u8]) -> bool {
    let colon = line.iter().position(|&b| b == b':');
    let letters = |bytes: &[u8]| -> Vec<u8> {
        let kept = bytes
            .iter()
            .filter(|b| b.is_ascii_alphabetic() || **b == b'-');
        kept.map(u8::to_ascii_lowercase).collect()
    };
    // Nearly every line begins with another letter.
    let first = line.iter().find(|b| b.is_ascii_alphabetic());
    if !first.is_some_and(|b| b"cCtT".contains(b)) {
        return false;
    }
    match colon {
        Some(colon) => FRAMING
            .iter()
            .any(|name| letters(&line[..colon]) == name.as_bytes()),
        None => FRAMING
            .iter()
            .any(|name| letters(line).starts_with(name.as_bytes())),
    }
}

fn is_exact(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&b| b == b':') else {
        return false;
    };
    let (name, value) = line.split_at(colon);
    let visible = |b: &u8| matches!(b, b' '..=b'~' | b'\t');
    name.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-') && value.iter().all(visible)
}

fn name_of(line: &[u8]) -> String {
    let Some(colon) = line.iter().position(|&b| b == b':') else {
        return "a line without a colon".to_owned();
    };
    let kept = line[..colon].iter().copied().map(char::from);
    let name: String = kept
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .take(SHOWN)
        .collect();
    match name.is_empty() {
        true => "a header without a name".to_owned(),
        false => format!("the header {}", name.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(head: &str) -> Option<String> {
        find_unreadable(head.as_bytes()).map(|found| found.0)
    }

    #[test]
    fn what_says_where_an_answer_ends_has_to_be_exact() {
        for good in [
            "content-length: 5",
            "Content-Length:5",
            "transfer-encoding: chunked",
            "x-content-length : 7",
            "Cookie\u{1}: content-length",
            "set-cookie : a\r\n content: 7",
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{good}\r\n\r\n");
            assert_eq!(unreadable(&head), None, "{good}");
        }
        for (bad, name) in [
            ("content-length : 5", "the header content-length"),
            ("Content-Length\t: 5", "the header content-length"),
            ("Content-Length: 5\u{1}", "the header content-length"),
            ("Content-Length\u{1}: 5", "the header content-length"),
            ("Content-Length:\r\n 5", "the header content-length"),
            ("content-length 5", "a line without a colon"),
            // Whether it belongs to the header before it is not ours to decide.
            (" content-length: 5", "the header content-length"),
            (
                "Transfer-Encoding : chunked",
                "the header transfer-encoding",
            ),
            (
                "transfer-encoding: chunked\u{7f}",
                "the header transfer-encoding",
            ),
            ("x-a: \0secret", "the header x-a"),
            ("x\"-a: b\rsecret", "the header x-a"),
            (": \0", "a header without a name"),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\nx: y\r\n{bad}\r\n\r\n");
            assert_eq!(unreadable(&head).as_deref(), Some(name), "{bad}");
        }
    }

    #[test]
    fn a_head_is_found_in_whatever_pieces_it_comes() {
        let interim = "\r\nHTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 100 Continue\n\n";
        let body = "\r\n\r\ncontent-length : 7\r\n\r\n";
        let good = format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{body}");
        let bad = format!("{interim}HTTP/1.1 200 OK\r\ncontent-length : 7\r\n\r\n{body}");
        for piece in 1..good.len() {
            for (answer, fits) in [(&good, true), (&bad, false)] {
                let mut reader = HeadReader::default();
                reader.begin();
                let read: io::Result<()> = answer
                    .as_bytes()
                    .chunks(piece)
                    .try_for_each(|data| reader.read(data));
                assert_eq!(read.is_ok(), fits, "in pieces of {piece}");
            }
        }
    }
}
