//! What the tests of several rooms need.

pub(crate) mod config;
pub(crate) mod limits;
pub(crate) mod ports;
pub(crate) mod skip;
