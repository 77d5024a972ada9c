//! What is measured against what, and what is aimed at.

mod at_a_time;
mod charges;
mod group;
mod imports;
mod tokens;

pub(crate) use group::{Aim, Comparison, Group, Port};

/// In the order of the table.
pub(crate) const GROUPS: &[&Group] = &[
    &tokens::RUST,
    &tokens::SHARED,
    &tokens::PYTHON,
    &tokens::PHP,
    &tokens::PHP_JIT,
    &tokens::NODE,
    &tokens::LEARNED_TOKEN,
    &tokens::C,
    &charges::BLOCKING,
    &at_a_time::COMPILED_HTTP2,
    &at_a_time::COMPILED_HTTP1,
    &charges::PHP,
    &imports::PYTHON,
    &charges::PYTHON,
    &at_a_time::PYTHON_HTTP1,
    &at_a_time::PYTHON_HTTP2,
    &charges::NODE,
    &at_a_time::NODE_HTTP1,
    &at_a_time::NODE_HTTP2,
];
