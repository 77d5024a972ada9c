//! Generation cells: the number of the token to use, where JavaScript reads it without a call.
//!
//! Promises: what any thread of Node does to a token stands in the cells of all of them before it is told to anybody. What
//! others do, the library itself or another language of the process, is written when a thread of Node asks next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Result};
use pay88_sys::Manager;

/// The bits of a JavaScript number: 0 if there is no token.
type Cell = AtomicU64;

/// The cells of all handles, with the numbers of their managers.
static CELLS: Mutex<Vec<(u64, Weak<Cell>)>> = Mutex::new(Vec::new());

fn cells() -> MutexGuard<'static, Vec<(u64, Weak<Cell>)>> {
    CELLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cell of its own for a handle of the manager, as an array of one element. It is freed with the array.
///
/// One for each, since an engine may refuse to have two arrays over the same memory. Where it has none over foreign memory
/// the array is a copy, and only asking tells of changes.
pub(crate) fn array<'env>(env: &'env Env, manager: &Manager) -> Result<Float64ArraySlice<'env>> {
    let cell = Arc::new(Cell::new(0));
    {
        let mut cells = cells();
        cells.retain(|(_, cell)| cell.strong_count() > 0);
        cells.push((manager.id(), Arc::downgrade(&cell)));
    }
    let pointer = cell.as_ptr().cast::<f64>();
    // SAFETY: the memory is that of one `f64` and lives until the closure drops the cell. JavaScript only reads it.
    unsafe { Float64ArraySlice::from_external(env, pointer, 1, cell, |_, cell| drop(cell)) }
}

/// Reads which token is to be used now, and writes it into the cells of the manager. It does not count as use.
pub(crate) fn update(manager: &Manager) -> Option<u64> {
    // Held while reading, so that what is written last was read last. A peek does no I/O and starts nothing.
    let cells = cells();
    let generation = manager.peek_generation();
    let number = generation.unwrap_or(0) as f64;
    let id = manager.id();
    for (_, cell) in cells.iter().filter(|(of, _)| *of == id) {
        if let Some(cell) = cell.upgrade() {
            cell.store(number.to_bits(), Ordering::Release);
        }
    }
    generation
}
