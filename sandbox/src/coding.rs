//! Bodies of answers, coded (`Content-Encoding`).

use crate::fault::Coding;
use crate::message::Answer;

const LEVEL: u8 = 6;

/// The answer with its body coded, which a header says.
pub(crate) fn coded(mut answer: Answer, coding: Coding) -> Answer {
    let (name, body) = match coding {
        Coding::Gzip => ("gzip", gzip(&answer.body)),
        Coding::Deflate => (
            "deflate",
            miniz_oxide::deflate::compress_to_vec_zlib(&answer.body, LEVEL),
        ),
        Coding::RawDeflate => (
            "deflate",
            miniz_oxide::deflate::compress_to_vec(&answer.body, LEVEL),
        ),
    };
    answer.body = body;
    answer.and_header("Content-Encoding", name)
}

/// One member, of no file and no time (RFC 1952).
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(miniz_oxide::deflate::compress_to_vec(data, LEVEL));
    bytes.extend(crc32fast::hash(data).to_le_bytes());
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes
}
