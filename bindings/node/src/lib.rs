//! `pay88.<platform>.node`: the compiled part of the npm package.
//!
//! Promises: every thread of Node that loads it, main or worker, uses the process's one libpay88; nothing here waits; a
//! thread of Node that ends loses its results and nothing else. What needs no C ABI is not here but in TypeScript, above
//! all classes, errors as users see them, and cancellation.

#![deny(missing_docs)]

// Public for the macros of napi: no Rust program can link this.
pub mod completion_queue;
pub mod events;
pub mod failure;
mod kept_token;
pub mod library;
pub mod manager;
mod pairs;
