//! Undoes the codings of an answer's body (`Content-Encoding`, RFC 9110, 8.4.1), once the body has come.
//!
//! The library asks for no coding, but a proxy may use one all the same. gzip and deflate (as zlib and as raw
//! deflate) are undone, also several in a row. An answer with any other coding, or one that is named gzip and is not,
//! is passed on unchanged, with its header, so nothing of it is lost. The decoded body has the same limit as the
//! coded one. The work is done in small pieces, and the deadline is checked after each. A secret body is decoded in
//! the memory that is zeroed. It leaves nothing but a table of codes.

use std::future::poll_fn;
use std::task::Poll;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags as flags};

use super::body::BodyBuffer;
use crate::exchange::{Answer, Failure, FailureKind};

/// As many as other clients undo (curl, urllib3, undici).
const MOST_CODINGS: usize = 5;

/// How many bytes are read, and how many are written, at most, between two checks of the deadline.
const PIECE: usize = 64 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

/// The answer with its body decoded, and without the headers that named the coding: whoever passes it on must not
/// have it decoded again.
///
/// # Errors
/// [`FailureKind::Truncated`], [`FailureKind::TooLarge`], or [`FailureKind::Malformed`] for a body that is not what
/// its header says.
pub(super) async fn decode(
    mut answer: Answer,
    limit: u64,
    secret: bool,
) -> Result<Answer, Failure> {
    // An answer to HEAD has a coding and no body.
    if answer.body.is_empty() {
        return Ok(answer);
    }
    let Some(codings) = codings(&answer.headers) else {
        return Ok(answer);
    };
    // Some servers and proxies name gzip for a body that they did not compress, or that they have decoded already.
    let begin = &answer.body[..answer.body.len().min(GZIP_MAGIC.len())];
    if codings.last() == Some(&Coding::Gzip) && !GZIP_MAGIC.starts_with(begin) {
        return Ok(answer);
    }
    for coding in codings.into_iter().rev() {
        let coded = BodyBuffer::of(std::mem::take(&mut answer.body), secret);
        let mut decoding = Decoding {
            coding,
            coded: coded.bytes(),
            output: BodyBuffer::new(0, limit, secret)?,
            inflater: Box::default(),
        };
        match coding {
            Coding::Gzip => decoding.gzip().await?,
            Coding::Deflate => decoding.deflate().await?,
        }
        answer.body = decoding.output.into_inner();
    }
    answer.headers.remove(CONTENT_ENCODING);
    answer.headers.remove(CONTENT_LENGTH);
    Ok(answer)
}

/// The codings that were applied, in their order. `None` if there are none, or if one cannot be undone here.
fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut found = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().ok()?.split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => found.push(Coding::Gzip),
                "deflate" => found.push(Coding::Deflate),
                _ => return None,
            }
        }
    }
    (1..=MOST_CODINGS).contains(&found.len()).then_some(found)
}

/// A coding while it is undone.
struct Decoding<'a> {
    coding: Coding,
    /// What was not read yet.
    coded: &'a [u8],
    output: BodyBuffer,
    inflater: Box<DecompressorOxide>,
}

impl Decoding<'_> {
    /// One member after the other (RFC 1952). Bytes after a member that begin no other one are ignored, as other
    /// clients do.
    async fn gzip(&mut self) -> Result<(), Failure> {
        loop {
            self.skip_gzip_header()?;
            let begin = self.output.bytes().len();
            let checksum = self.inflate(0).await?;
            let length = self.output.bytes().len() - begin;
            let end: [u8; 8] = self.take()?;
            let expected = [checksum.to_le_bytes(), (length as u32).to_le_bytes()].concat();
            if end.as_slice() != expected {
                return Err(self.wrong());
            }
            if !self.coded.starts_with(&GZIP_MAGIC) {
                return Ok(());
            }
        }
    }

    fn skip_gzip_header(&mut self) -> Result<(), Failure> {
        let [first, second, method, flags, ..]: [u8; 10] = self.take()?;
        if [first, second] != GZIP_MAGIC || method != 8 || flags & 0xe0 != 0 {
            return Err(self.wrong());
        }
        if flags & 4 != 0 {
            let length = u16::from_le_bytes(self.take()?);
            self.skip(usize::from(length))?;
        }
        // A file name and a comment, each with a zero at its end.
        for text in [8, 16] {
            if flags & text != 0 {
                let end = self.coded.iter().position(|byte| *byte == 0);
                self.skip(end.map_or(usize::MAX, |end| end + 1))?;
            }
        }
        if flags & 2 != 0 {
            self.skip(2)?;
        }
        Ok(())
    }

    /// zlib, as the standard has it, or deflate without a frame, as some servers send it.
    async fn deflate(&mut self) -> Result<(), Failure> {
        let framed = match self.coded {
            [first, second, ..] => {
                first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
            }
            _ => false,
        };
        let flags = match framed {
            true => flags::TINFL_FLAG_PARSE_ZLIB_HEADER,
            false => 0,
        };
        self.inflate(flags).await.map(drop)
    }

    /// One stream to its end. Returns the CRC of what was written.
    async fn inflate(&mut self, mut flags: u32) -> Result<u32, Failure> {
        flags |= flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        self.inflater.init();
        let begin = self.output.bytes().len();
        let mut checksum = crc32fast::Hasher::new();
        let mut end = begin;
        loop {
            yield_once().await;
            let (piece, more) = match self.coded.split_at_checked(PIECE) {
                Some((piece, rest)) if !rest.is_empty() => {
                    (piece, flags::TINFL_FLAG_HAS_MORE_INPUT)
                }
                _ => (self.coded, 0),
            };
            self.output.stretch(end + PIECE);
            let output = &mut self.output.bytes_mut()[begin..];
            let (status, read, written) =
                decompress(&mut self.inflater, piece, output, end - begin, flags | more);
            checksum.update(&output[end - begin..][..written]);
            end += written;
            self.coded = &self.coded[read..];
            match status {
                TINFLStatus::Done => {
                    self.output.truncate(end);
                    return Ok(checksum.finalize());
                }
                TINFLStatus::NeedsMoreInput => {}
                TINFLStatus::HasMoreOutput => self.output.check_more(end)?,
                TINFLStatus::FailedCannotMakeProgress => return Err(self.cut()),
                _ => return Err(self.wrong()),
            }
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let (taken, rest) = self.coded.split_first_chunk().ok_or_else(|| self.cut())?;
        self.coded = rest;
        Ok(*taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), Failure> {
        self.coded = self.coded.get(count..).ok_or_else(|| self.cut())?;
        Ok(())
    }

    fn cut(&self) -> Failure {
        let message = format!(
            "the answer's body ends in the middle of its {}",
            self.name()
        );
        Failure::before_sending(FailureKind::Truncated, message)
    }

    fn wrong(&self) -> Failure {
        let message = format!(
            "the answer's body cannot be decoded as {}, which its Content-Encoding names",
            self.name()
        );
        Failure::before_sending(FailureKind::Malformed, message)
    }

    fn name(&self) -> &'static str {
        match self.coding {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }
}

/// Returns to the poller, which checks the time, and goes on at once.
async fn yield_once() {
    let mut again = false;
    poll_fn(|context| {
        if std::mem::replace(&mut again, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use http::{HeaderValue, StatusCode};
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        bytes.extend(compress_to_vec(data, 6));
        bytes.extend(crc32fast::hash(data).to_le_bytes());
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes
    }

    fn coded(codings: &[&'static str], body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        for name in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        headers.insert(CONTENT_LENGTH, body.len().into());
        Answer {
            status: StatusCode::OK,
            headers,
            body: body.to_vec(),
            received: std::time::SystemTime::now(),
        }
    }

    /// The result, and how often the deadline could be checked before.
    fn decoded(answer: Answer, secret: bool) -> (Result<Answer, Failure>, usize) {
        let mut decoding = pin!(decode(answer, LIMIT, secret));
        let mut pauses = 0;
        loop {
            match decoding
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                Poll::Ready(result) => return (result, pauses),
                Poll::Pending => pauses += 1,
            }
        }
    }

    fn failure(codings: &[&'static str], body: &[u8]) -> FailureKind {
        decoded(coded(codings, body), false).0.unwrap_err().kind
    }

    /// Text that does not compress well.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 88_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 24) as u8 % 26
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn every_coding_is_undone_and_told_of_no_more() {
        for data in [
            b"".to_vec(),
            b"{}".to_vec(),
            text(300_000),
            vec![b'x'; LIMIT as usize],
        ] {
            let (gzip, raw) = (gzip(&data), compress_to_vec(&data, 6));
            let zlib = compress_to_vec_zlib(&data, 6);
            for (names, body) in [
                (&["gzip"][..], &gzip),
                (&["X-GZip"], &gzip),
                (&["identity, gzip", ""], &gzip),
                (&["deflate"], &zlib),
                (&["deflate"], &raw),
            ] {
                for secret in [false, true] {
                    let answer = decoded(coded(names, body), secret).0.unwrap();
                    assert!(answer.body == data, "{names:?}");
                    assert!(answer.headers.is_empty(), "{names:?}");
                }
            }
        }
    }

    #[test]
    fn several_codings_are_undone_the_last_first_and_not_without_end() {
        let body = gzip(&compress_to_vec_zlib(b"{}", 6));
        for names in [&["deflate, gzip"][..], &["deflate", "gzip"]] {
            assert_eq!(decoded(coded(names, &body), false).0.unwrap().body, b"{}");
        }
        let six = coded(&["gzip,gzip,gzip,gzip,gzip,gzip"], &body);
        let (answer, headers) = (six.body.clone(), six.headers.clone());
        let given = decoded(six, false).0.unwrap();
        assert_eq!((given.body, given.headers), (answer, headers));
    }

    #[test]
    fn members_are_joined_and_what_is_none_is_left_out() {
        let mut body = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(
            decoded(coded(&["gzip"], &body), false).0.unwrap().body,
            b"one two"
        );
        body.extend([0; 512]);
        assert_eq!(
            decoded(coded(&["gzip"], &body), false).0.unwrap().body,
            b"one two"
        );
        // Everything that a header may have: more, a name, a comment, a sum.
        let mut full = vec![0x1f, 0x8b, 8, 4 | 8 | 16 | 2, 0, 0, 0, 0, 0, 255];
        full.extend(b"\x03\x00abcname\0comment\0..");
        full.extend(&gzip(b"{}")[10..]);
        assert_eq!(
            decoded(coded(&["gzip"], &full), false).0.unwrap().body,
            b"{}"
        );
        for length in 1..full.len() {
            assert_eq!(failure(&["gzip"], &full[..length]), FailureKind::Truncated);
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_no_answer() {
        let data = text(300);
        let whole = gzip(&data);
        for length in 1..whole.len() {
            assert_eq!(failure(&["gzip"], &whole[..length]), FailureKind::Truncated);
        }
        for whole in [compress_to_vec(&data, 6), compress_to_vec_zlib(&data, 6)] {
            for length in 2..whole.len() {
                assert_eq!(
                    failure(&["deflate"], &whole[..length]),
                    FailureKind::Truncated
                );
            }
        }
        // A second member that was cut.
        let two = [gzip(b"{}"), whole[..8].to_vec()].concat();
        assert_eq!(failure(&["gzip"], &two), FailureKind::Truncated);
    }

    #[test]
    fn what_is_not_what_it_is_said_to_be_is_no_answer() {
        let good = gzip(b"{\"amount\":50000}");
        for at in [2, 3, good.len() - 8, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            assert_eq!(failure(&["gzip"], &bad), FailureKind::Malformed, "{at}");
        }
        let mut bad = compress_to_vec_zlib(b"{\"a\":1}", 6);
        *bad.last_mut().unwrap() ^= 1;
        assert_eq!(failure(&["deflate"], &bad), FailureKind::Malformed);
        // The inner one of two.
        assert_eq!(failure(&["gzip, gzip"], &good), FailureKind::Malformed);
    }

    #[test]
    fn a_bomb_is_held_to_the_limit_in_every_step() {
        let large = vec![b' '; LIMIT as usize + 1];
        let bomb = gzip(&large);
        assert!(bomb.len() < 10_000);
        let bomb_in_bomb = gzip(&bomb);
        for secret in [false, true] {
            for (names, body) in [(&["gzip"][..], &bomb), (&["gzip, gzip"], &bomb_in_bomb)] {
                let failure = decoded(coded(names, body), secret).0.unwrap_err();
                assert_eq!(failure.kind, FailureKind::TooLarge);
                assert!(failure.message.contains("1048576"), "{}", failure.message);
            }
        }
        // Each member is within the limit, but not all together.
        let half = gzip(&large[..large.len() / 2 + 1]);
        assert_eq!(
            failure(&["gzip"], &[half.clone(), half].concat()),
            FailureKind::TooLarge
        );
    }

    #[test]
    fn the_deadline_is_looked_at_after_each_piece() {
        let pieces = LIMIT as usize / PIECE;
        let much = gzip(&vec![b' '; LIMIT as usize]);
        assert!(decoded(coded(&["gzip"], &much), false).1 >= pieces - 1);
        // Much work that gives nothing: empty blocks that are not the last one.
        let mut nothing = [0, 0, 0, 255, 255].repeat(LIMIT as usize / 5);
        nothing.extend([1, 0, 0, 255, 255]);
        let (answer, pauses) = decoded(coded(&["deflate"], &nothing), false);
        assert_eq!(answer.unwrap().body, b"");
        assert!(pauses >= pieces - 1, "{pauses}");
        // And members without content.
        let members = gzip(b"").repeat(1_000);
        assert!(decoded(coded(&["gzip"], &members), false).1 >= 1_000);
    }

    #[test]
    fn what_cannot_be_undone_is_given_as_it_came() {
        for names in [
            &["br"][..],
            &["zstd"],
            &["gzip, br"],
            &["identity"],
            &["aws-chunked"],
            &[],
        ] {
            let answer = decoded(coded(names, b"\x1f\x8b"), false).0.unwrap();
            assert_eq!(answer.body, b"\x1f\x8b", "{names:?}");
            let kept: Vec<_> = answer.headers.get_all(CONTENT_ENCODING).iter().collect();
            assert_eq!(kept, names, "{names:?}");
            assert_eq!(answer.headers[CONTENT_LENGTH], "2");
        }
        let answer = decoded(coded(&["gzip"], b"{}"), false).0.unwrap();
        assert_eq!(answer.body, b"{}");
        assert_eq!(answer.headers[CONTENT_ENCODING], "gzip");
        // HEAD, or nothing to say.
        let answer = decoded(coded(&["gzip"], b""), false).0.unwrap();
        assert_eq!(answer.headers[CONTENT_ENCODING], "gzip");
    }

    #[test]
    fn no_bytes_do_harm() {
        let whole = gzip(&text(2_000));
        let noise = text(2_000);
        for (number, chunk) in noise.chunks(3).enumerate() {
            let mut bytes = whole.clone();
            for (step, byte) in chunk.iter().enumerate() {
                let at = (number * 31 + usize::from(*byte) * 17 + step * 577) % bytes.len();
                bytes[at] = byte.wrapping_mul(73).wrapping_add(number as u8);
            }
            let _ = decoded(coded(&["gzip"], &bytes), number % 2 == 0);
            let _ = decoded(coded(&["deflate"], &bytes[10..]), number % 2 == 0);
        }
    }
}
