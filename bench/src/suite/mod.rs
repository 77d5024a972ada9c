//! What is measured against what, and what is aimed at.

mod asynchronous;
mod charges;
mod far;
mod fresh;
mod group;
mod growth;
mod tokens;

pub(crate) use group::{Aim, Comparison, Entry, Group, Life, Port};

/// In the order of the table.
pub(crate) const GROUPS: &[&Group] = &[
    &tokens::RUST,
    &tokens::C,
    &tokens::SHARED,
    &tokens::PYTHON,
    &tokens::NODE,
    &tokens::PHP,
    &tokens::PHP_JIT,
    &tokens::GO,
    &tokens::LEARNED_TOKEN,
    &charges::BLOCKING,
    &charges::PYTHON,
    &charges::NODE,
    &charges::PHP,
    &charges::GO,
    &charges::GO_BUSY,
    &asynchronous::COMPILED_HTTP1,
    &asynchronous::COMPILED_HTTP2,
    &asynchronous::PYTHON_ONE,
    &asynchronous::PYTHON,
    &asynchronous::NODE,
    &asynchronous::GO,
    &fresh::COMMAND,
    &fresh::COMPILED,
    &fresh::PYTHON,
    &fresh::NODE,
    &fresh::PHP,
    &fresh::IMPORT,
    &far::WARM,
    &far::COLD,
    &growth::MERCHANTS,
    &growth::SENT,
    &growth::ANSWERED,
];
