//! What `build.rs` makes of a header.

#[path = "../build/header.rs"]
mod header;

use header::declarations;

const PROTOTYPE: &str = "uint32_t pay88_abi_version(void);";

#[test]
fn the_committed_header_is_understood_with_every_function() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../include/pay88.h");
    let text = std::fs::read_to_string(path).unwrap();
    let rust = declarations(&text).unwrap();
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("//"))
        .collect();
    let mut count = 0;
    for line in code {
        // A prototype begins at the start of a line, with its name before the first parenthesis.
        let Some((before, _)) = line.split_once('(') else {
            continue;
        };
        let Some(name) = before.split([' ', '*']).next_back() else {
            continue;
        };
        if line.starts_with([' ', '#', '/', '*']) || !name.starts_with("pay88_") {
            continue;
        }
        count += 1;
        assert!(
            rust.contains(&format!("pub(crate) {name}: unsafe extern")),
            "{name}"
        );
    }
    assert!(count > 50, "{count}");
}

#[test]
fn constness_stays_where_it_was() {
    let rust = declarations(
        "typedef struct pay88_token pay88_token;
         void pay88_token_x(const struct pay88_token *token, const char **text, pay88_token **out);",
    )
    .unwrap();
    assert!(
        rust.contains(
            "fn(token: *const pay88_token, text: *mut *const ::std::ffi::c_char, out: *mut *mut pay88_token)"
        ),
        "{rust}"
    );
}

#[test]
fn what_is_not_understood_is_refused_and_named() {
    for (declaration, complaint) in [
        ("long pay88_x(void);", "the unknown type `long`"),
        ("void pay88_x(unsigned int a);", "the type `unsigned int`"),
        ("void pay88_x(char *const a);", "the type `char * const`"),
        ("void pay88_x(int);", "without a name or type"),
        ("void pay88_x(int a, ...);", "'.'"),
        ("void other(void);", "another library"),
        ("typedef enum pay88_e { A, B } pay88_e;", "without a number"),
        ("typedef union { int a; } pay88_u;", "the type `union"),
        (
            "typedef struct pay88_t pay88_t; typedef struct pay88_t pay88_t;",
            "declared twice",
        ),
        ("#define PAY88_X \"text\"\n", "is not understood"),
        ("#pragma once\n", "is not understood"),
        ("int pay88_x(void)", "has no end"),
        ("/* no end", "no end"),
    ] {
        let error = declarations(&format!("{PROTOTYPE}\n{declaration}")).unwrap_err();
        assert!(error.contains(complaint), "{declaration}: {error}");
    }
}

#[test]
fn an_empty_header_is_refused() {
    assert!(declarations("").unwrap_err().contains("no function"));
}
