//! One value that is read all the time and replaced now and then, with references that outlive it.
//!
//! Promises: to take a reference is one atomic read-modify-write, to give it back another, and that it was taken is counted
//! by the same; no lock is taken, and a fork at any moment leaves nothing that the child may not use; a value is dropped with
//! its last reference, at once. What lives longer is the frame around it, which a reader may be about to touch: it is used
//! for a later value, and freed when neither the place nor a reference needs it.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::mem::{self, MaybeUninit};
use std::ops::Deref;
use std::process;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// How many threads can use a value at once without writing to the same place.
const LANES: usize = 8;

/// The place of the value. Any number of threads may read it and replace it.
pub(crate) struct Published<T> {
    current: AtomicPtr<Frame<T>>,
    /// All frames there are, linked: as many as there were values at once. They are freed with this.
    frames: AtomicPtr<Frame<T>>,
    corrections: Corrections,
}

/// What the lanes have counted too much or too little. Whoever counts here does not take the cache line that readers look
/// at.
#[repr(align(128))]
struct Corrections {
    /// Uses that were counted and were none.
    unused: AtomicU64,
    /// Uses that were made without a reference of this place.
    elsewhere: AtomicU64,
}

/// A counted reference to a value that is, or was, published.
pub(crate) struct Ref<T>(NonNull<Lane<T>>);

struct Frame<T> {
    /// How many lanes have references, and one more until the value is dropped; 0 if the frame is free. Also
    /// [`ABANDONED`].
    users: AtomicU32,
    next: *const Frame<T>,
    /// Written by whoever has taken the free frame, read by who has a reference, dropped after the last.
    value: UnsafeCell<MaybeUninit<T>>,
    lanes: [Lane<T>; LANES],
}

/// No place knows the frame any more: who makes it free frees its memory.
const ABANDONED: u32 = 1 << 31;

/// The references that some of the threads take, on cache lines of their own.
#[repr(align(128))]
struct Lane<T> {
    /// From the lowest bit: 38 bits of references, [`TOO_MANY`], [`GONE`], 24 bits of uses.
    word: AtomicU64,
    /// How often the uses went over their 24 bits.
    carries: AtomicU32,
    frame: *const Frame<T>,
}

const REFERENCE: u64 = 1;
const TOO_MANY: u64 = 1 << 38;
/// The value may not be read through this lane. It comes with the last reference and goes with the next value. References
/// that are taken meanwhile are given back unused.
const GONE: u64 = 1 << 39;
const USE: u64 = 1 << 40;
const LAST_USE: u64 = u64::MAX - USE + 1;

// SAFETY: references lend the value to all threads, and whichever thread gives back the last one drops it.
unsafe impl<T: Send + Sync> Send for Ref<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Ref<T> {}
// SAFETY: as above; all that is the place's own is atomic.
unsafe impl<T: Send + Sync> Send for Published<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

impl<T> Published<T> {
    pub(crate) fn new() -> Published<T> {
        Published {
            current: AtomicPtr::new(ptr::null_mut()),
            frames: AtomicPtr::new(ptr::null_mut()),
            corrections: Corrections {
                unused: AtomicU64::new(0),
                elsewhere: AtomicU64::new(0),
            },
        }
    }

    /// The value, which is counted as used.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Ref<T>> {
        self.reference(USE + REFERENCE)
    }

    /// The value, without counting.
    pub(crate) fn peek(&self) -> Option<Ref<T>> {
        self.reference(REFERENCE)
    }

    #[inline(always)]
    fn reference(&self, what: u64) -> Option<Ref<T>> {
        loop {
            let current = self.current.load(Ordering::Acquire);
            // SAFETY: frames of this place live as long as it does.
            let frame = unsafe { current.as_ref() }?;
            if let Some(reference) = self.reference_to(frame, what) {
                return Some(reference);
            }
        }
    }

    /// A reference to what the frame holds, if that is still the value.
    #[inline(always)]
    fn reference_to(&self, frame: &Frame<T>, what: u64) -> Option<Ref<T>> {
        let lane = &frame.lanes[lane_of_this_thread()];
        let before = lane.word.fetch_add(what, Ordering::Acquire);
        if before & TOO_MANY != 0 || before >= LAST_USE {
            lane.carry(before, what);
        }
        // It may have been replaced since it was looked for. Then the value is gone, or another one that may not be
        // published yet. The next look finds a newer one, since it comes after what opened or ended the lane.
        let current = self.current.load(Ordering::Acquire).cast_const();
        if before & GONE == 0 && ptr::eq(current, frame) {
            return Some(Ref(NonNull::from(lane)));
        }
        self.give_back_unused(lane, what);
        None
    }

    /// Gives back what was taken of a value that may not be read.
    #[cold]
    fn give_back_unused(&self, lane: &Lane<T>, what: u64) {
        // SAFETY: the reference is the one that was just taken.
        unsafe { Lane::give_back(lane) };
        if what >= USE {
            self.count_unused();
        }
    }

    /// A use that was counted was none.
    #[cold]
    pub(crate) fn count_unused(&self) {
        self.corrections.unused.fetch_add(1, Ordering::Relaxed);
    }

    /// Uses of a value by somebody who keeps it.
    pub(crate) fn count_uses(&self, uses: u64) {
        let elsewhere = &self.corrections.elsewhere;
        let add = |known: u64| Some(known.saturating_add(uses));
        let _ = elsewhere.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Replaces the value, and gives a reference to the new one.
    pub(crate) fn publish(&self, value: T) -> Ref<T> {
        let frame = self.frame_of(value);
        let lane = &frame.lanes[lane_of_this_thread()];
        lane.word.fetch_add(REFERENCE, Ordering::Relaxed);
        self.replace(ptr::from_ref(frame).cast_mut());
        Ref(NonNull::from(lane))
    }

    /// A frame that holds the value, for which the place has a reference of each lane.
    fn frame_of(&self, value: T) -> &Frame<T> {
        let frame = self.free_frame();
        // SAFETY: the frame is this thread's until its lanes are opened.
        unsafe { (*frame.value.get()).write(value) };
        for lane in &frame.lanes {
            lane.word.fetch_sub(GONE - REFERENCE, Ordering::Release);
        }
        frame
    }

    /// Leaves no value there.
    pub(crate) fn clear(&self) {
        self.replace(ptr::null_mut());
    }

    fn replace(&self, with: *mut Frame<T>) {
        // SAFETY: frames of this place live as long as it does.
        if let Some(old) = unsafe { self.current.swap(with, Ordering::AcqRel).as_ref() } {
            for lane in &old.lanes {
                // SAFETY: the place has one reference of each lane of its value.
                unsafe { Lane::give_back(lane) };
            }
        }
    }

    /// A frame that is taken for a new value.
    fn free_frame(&self) -> &Frame<T> {
        const TAKEN: u32 = LANES as u32 + 1;
        let mut frames = self.frames();
        let free = frames.find(|frame| {
            let taken =
                frame
                    .users
                    .compare_exchange(0, TAKEN, Ordering::Acquire, Ordering::Relaxed);
            taken.is_ok()
        });
        if let Some(frame) = free {
            return frame;
        }
        let frame = Frame::new(TAKEN);
        let mut next = self.frames.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody else knows the frame before it is linked.
            unsafe { (*frame).next = next };
            let linked =
                self.frames
                    .compare_exchange(next, frame, Ordering::AcqRel, Ordering::Relaxed);
            match linked {
                // SAFETY: frames of this place live as long as it does.
                Ok(_) => return unsafe { &*frame },
                Err(other) => next = other,
            }
        }
    }

    fn frames(&self) -> impl Iterator<Item = &Frame<T>> {
        let mut next = self.frames.load(Ordering::Acquire).cast_const();
        std::iter::from_fn(move || {
            // SAFETY: frames of this place live as long as it does, and are linked before they are found.
            let frame = unsafe { next.as_ref() }?;
            next = frame.next;
            Some(frame)
        })
    }

    /// How often the value was used. If it is used at this very moment, 16 million may be missing, once in 16 million.
    pub(crate) fn uses(&self) -> u64 {
        let lanes = self.frames().flat_map(|frame| &frame.lanes);
        let uses: u64 = lanes.map(Lane::uses).sum();
        let Corrections { unused, elsewhere } = &self.corrections;
        // The program says how many were made elsewhere, and may say anything.
        uses.saturating_add(elsewhere.load(Ordering::Relaxed))
            .saturating_sub(unused.load(Ordering::Relaxed))
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        self.clear();
        let mut next = *self.frames.get_mut();
        while !next.is_null() {
            let frame = next;
            // SAFETY: its memory is there at least until it is abandoned here.
            let users = unsafe {
                next = (*frame).next.cast_mut();
                (*frame).users.fetch_or(ABANDONED, Ordering::AcqRel)
            };
            if users == 0 {
                // SAFETY: it was made of a box. No reference is left, and no place.
                drop(unsafe { Box::from_raw(frame) });
            }
        }
    }
}

impl<T> Frame<T> {
    fn new(users: u32) -> *mut Frame<T> {
        let frame = Box::into_raw(Box::new(Frame {
            users: AtomicU32::new(users),
            next: ptr::null(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            lanes: std::array::from_fn(|_| Lane {
                word: AtomicU64::new(GONE),
                carries: AtomicU32::new(0),
                frame: ptr::null(),
            }),
        }));
        // SAFETY: nobody else knows it yet.
        for lane in unsafe { &mut (*frame).lanes } {
            lane.frame = frame;
        }
        frame
    }

    /// The last reference of a lane was given back.
    ///
    /// # Safety
    /// It is called once for each lane and value. `frame` may be freed by it.
    #[cold]
    unsafe fn lane_gone(frame: *const Frame<T>) {
        // SAFETY: the frame is not free before the calling lane has left it.
        let users = unsafe { &(*frame).users };
        if users.fetch_sub(1, Ordering::AcqRel) & !ABANDONED != 2 {
            return;
        }
        // SAFETY: all references are gone, and until the frame is free no other value gets in.
        unsafe { (*(*frame).value.get()).assume_init_drop() };
        if users.fetch_sub(1, Ordering::AcqRel) == ABANDONED | 1 {
            // SAFETY: it was made of a box. No reference is left, and no place.
            drop(unsafe { Box::from_raw(frame.cast_mut()) });
        }
    }
}

impl<T> Lane<T> {
    /// What a lane's word cannot count.
    #[cold]
    fn carry(&self, before: u64, what: u64) {
        if before & TOO_MANY != 0 {
            // As `Arc` does it. Only what is forgotten without end comes so far.
            process::abort();
        }
        if what >= USE && before >= LAST_USE {
            self.carries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives a reference back. The last one takes the value with it.
    ///
    /// # Safety
    /// It was taken, and is used no more. Without a reference of the caller's to the place, `lane` may be freed by it.
    #[inline]
    unsafe fn give_back(lane: *const Lane<T>) {
        // SAFETY: the reference keeps the frame up to the exchange that succeeds, and beyond it if it is the last.
        let (word, frame) = unsafe { (&(*lane).word, (*lane).frame) };
        let mut before = word.load(Ordering::Relaxed);
        loop {
            let left = before - REFERENCE;
            // The last reference and the end of the lane are one step, so that exactly one thread ends it.
            let last = left & (USE - 1) == 0;
            let after = if last { left | GONE } else { left };
            let exchange =
                word.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Relaxed);
            match exchange {
                // SAFETY: this is the one step that ends the lane.
                Ok(_) if last => return unsafe { Frame::lane_gone(frame) },
                Ok(_) => return,
                Err(other) => before = other,
            }
        }
    }

    fn uses(&self) -> u64 {
        let carries = u64::from(self.carries.load(Ordering::Relaxed));
        carries * (u64::MAX / USE + 1) + self.word.load(Ordering::Relaxed) / USE
    }
}

impl<T> Ref<T> {
    fn frame(&self) -> *const Frame<T> {
        // SAFETY: a reference keeps its frame.
        unsafe { self.0.as_ref().frame }
    }

    /// Whether both are references to one published value.
    pub(crate) fn same_as(&self, other: &Ref<T>) -> bool {
        ptr::eq(self.frame(), other.frame())
    }

    /// Gives the reference up as a pointer.
    pub(crate) fn into_raw(self) -> *const c_void {
        let lane = self.0;
        mem::forget(self);
        lane.as_ptr().cast()
    }

    /// Takes back a reference that [`Ref::into_raw`] gave up.
    ///
    /// # Safety
    /// `raw` came from [`Ref::into_raw`] of the same type, and each of these pointers is taken back at most once.
    pub(crate) unsafe fn from_raw(raw: *const c_void) -> Ref<T> {
        // SAFETY: the caller vouches that it is the address of a lane.
        Ref(unsafe { NonNull::new_unchecked(raw.cast_mut().cast()) })
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it was written before any reference was given, and stays until the last is given back.
        unsafe { (*(*self.frame()).value.get()).assume_init_ref() }
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        // SAFETY: a reference keeps its frame.
        let lane = unsafe { self.0.as_ref() };
        let before = lane.word.fetch_add(REFERENCE, Ordering::Relaxed);
        if before & TOO_MANY != 0 {
            lane.carry(before, REFERENCE);
        }
        Ref(self.0)
    }
}

impl<T> Drop for Ref<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it is this reference that is given back.
        unsafe { Lane::give_back(self.0.as_ptr()) };
    }
}

/// Threads take the lanes in turn.
#[inline]
fn lane_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(usize::MAX) });
    // A thread that is ending may have lost its locals; any lane is right.
    MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % LANES);
        }
        mine.get()
    })
    .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Barrier, Mutex};
    use std::thread;

    use super::*;

    /// Says when it is dropped, and is not itself any more.
    struct Value {
        number: u64,
        again: u64,
        dropped: Arc<Mutex<Vec<u64>>>,
    }

    impl Drop for Value {
        fn drop(&mut self) {
            self.dropped.lock().unwrap().push(self.number);
            self.again = 0;
        }
    }

    struct Place {
        published: Published<Value>,
        dropped: Arc<Mutex<Vec<u64>>>,
    }

    impl Place {
        fn new() -> Place {
            Place {
                published: Published::new(),
                dropped: Arc::default(),
            }
        }

        fn publish(&self, number: u64) -> Ref<Value> {
            self.published.publish(Value {
                number,
                again: number,
                dropped: self.dropped.clone(),
            })
        }

        fn dropped(&self) -> Vec<u64> {
            self.dropped.lock().unwrap().clone()
        }

        fn frames(&self) -> usize {
            self.published.frames().count()
        }
    }

    #[test]
    fn a_value_is_dropped_with_its_last_reference_wherever_it_is() {
        let place = Place::new();
        let first = place.publish(1);
        let taken = place.published.take().unwrap();
        let copy = thread::scope(|scope| scope.spawn(|| taken.clone()).join().unwrap());
        drop(place.publish(2));
        drop((first, taken));
        assert!(place.dropped().is_empty());
        thread::spawn(move || drop(copy)).join().unwrap();
        assert_eq!(place.dropped(), [1]);
        place.published.clear();
        assert_eq!(place.dropped(), [1, 2], "the place has no reference left");
        assert!(place.published.take().is_none());
    }

    #[test]
    fn what_a_program_counts_does_not_overflow_and_does_not_slow_readers_down() {
        let place = Place::new();
        drop(place.publish(1));
        place.published.count_uses(2);
        drop(place.published.take());
        assert_eq!(place.published.uses(), 3);
        place.published.count_uses(u64::MAX - 2);
        assert_eq!(place.published.uses(), u64::MAX);
        place.published.count_uses(10);
        assert_eq!(place.published.uses(), u64::MAX);
        let line = |address: usize| address / 128;
        let readers = ptr::from_ref(&place.published.current).addr();
        let counters = ptr::from_ref(&place.published.corrections.elsewhere).addr();
        assert_ne!(line(readers), line(counters));
    }

    #[test]
    fn a_reference_outlives_its_place() {
        let place = Place::new();
        let dropped = place.dropped.clone();
        let (first, second) = (place.publish(1), place.publish(2));
        drop(place);
        assert_eq!((first.number, second.number), (1, 2));
        // SAFETY: it was given up just before.
        drop(unsafe { Ref::<Value>::from_raw(second.into_raw()) });
        assert_eq!(*dropped.lock().unwrap(), [2]);
        drop(first);
        assert_eq!(*dropped.lock().unwrap(), [2, 1]);
    }

    #[test]
    fn a_thread_that_has_read_the_value_keeps_nothing_of_it() {
        let place = Place::new();
        drop(place.publish(1));
        let (read, done) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(place.published.take().unwrap());
                read.wait();
                done.wait();
            });
            read.wait();
            place.published.clear();
            assert_eq!(place.dropped(), [1]);
            done.wait();
        });
    }

    #[test]
    fn frames_are_used_again_and_are_as_many_as_values_that_are_kept() {
        let place = Place::new();
        (0..100).for_each(|number| drop(place.publish(number)));
        assert_eq!(place.frames(), 2);
        let kept: Vec<_> = (0..10).map(|number| place.publish(number)).collect();
        assert_eq!(place.frames(), 10);
        drop(kept);
        (0..100).for_each(|number| drop(place.publish(number)));
        assert_eq!(place.frames(), 10);
    }

    #[test]
    fn uses_are_counted_over_all_values_and_lanes() {
        let place = Place::new();
        for number in 1..=3 {
            drop(place.publish(number));
            thread::scope(|scope| {
                for _ in 0..2 * LANES {
                    scope.spawn(|| (0..10).for_each(|_| drop(place.published.take())));
                }
            });
        }
        drop(place.published.peek());
        assert_eq!(place.published.uses(), 3 * 2 * 10 * LANES as u64);
        place.published.count_unused();
        place.published.count_uses(7);
        place.published.clear();
        assert_eq!(place.published.uses(), 3 * 2 * 10 * LANES as u64 + 6);
    }

    #[test]
    fn uses_go_on_where_their_bits_end() {
        let place = Place::new();
        let value = place.publish(1);
        // SAFETY: a reference keeps its lane.
        let lane = unsafe { value.0.as_ref() };
        lane.word.fetch_add(LAST_USE, Ordering::Relaxed);
        drop(place.published.peek());
        assert_eq!(place.published.uses(), LAST_USE / USE);
        for _ in 0..2 {
            drop(place.published.take());
        }
        assert_eq!(place.published.uses(), LAST_USE / USE + 2);
        drop(value);
        place.published.clear();
        assert_eq!(place.dropped(), [1], "references are counted apart");
    }

    /// What a reader does who is stopped between its look and its count, by hand.
    #[test]
    fn a_reader_that_comes_late_gets_neither_a_value_that_is_gone_nor_one_that_is_not_published() {
        let place = Place::new();
        let published = &place.published;
        drop(place.publish(1));
        let frame = published.frames().next().unwrap();
        let late = || published.reference_to(frame, USE + REFERENCE);
        assert_eq!(late().unwrap().number, 1);
        drop(place.publish(2));
        assert_eq!(place.dropped(), [1]);
        assert!(late().is_none(), "its value is gone");
        let next = published.frame_of(Value {
            number: 3,
            again: 3,
            dropped: place.dropped.clone(),
        });
        assert!(ptr::eq(next, frame), "the frame is used again");
        assert!(late().is_none(), "2 is still the value");
        published.replace(ptr::from_ref(next).cast_mut());
        assert_eq!(late().unwrap().number, 3);
        assert_eq!(published.uses(), 2);
        published.clear();
        assert_eq!(place.dropped(), [1, 2, 3]);
    }

    #[test]
    fn a_frame_that_is_used_again_counts_who_has_come_too_late() {
        let place = Place::new();
        drop(place.publish(1));
        let late = &place.published.frames().next().unwrap().lanes[lane_of_this_thread()];
        place.published.clear();
        let before = late.word.fetch_add(REFERENCE, Ordering::Acquire);
        assert_ne!(before & GONE, 0);
        // The frame is used again meanwhile, and its value goes before the late reader does.
        drop(place.publish(2));
        place.published.clear();
        assert_eq!(place.dropped(), [1]);
        // SAFETY: it is the reference from above.
        unsafe { Lane::give_back(late) };
        assert_eq!(place.dropped(), [1, 2]);
        assert_eq!(place.publish(3).number, 3);
        assert_eq!(place.frames(), 1);
    }

    #[test]
    fn threads_read_whole_values_in_order_while_others_replace_and_clear_them() {
        const VALUES: u64 = 1_000;
        let place = Place::new();
        let (newest, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let taken = AtomicU64::new(0);
        drop(place.publish(0));
        thread::scope(|scope| {
            for reader in 0..4 {
                let (place, newest, over, taken) = (&place, &newest, &over, &taken);
                scope.spawn(move || {
                    let (mut last, mut kept) = (0, Vec::new());
                    while !over.load(Ordering::Acquire) {
                        let known = newest.load(Ordering::Acquire);
                        let Some(value) = place.published.take() else {
                            continue;
                        };
                        taken.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(value.number, value.again);
                        assert!(value.number >= known && value.number >= last);
                        last = value.number;
                        if last % (reader + 3) == 0 && kept.len() < 20 {
                            kept.push(value.clone());
                        } else if last % 7 == 0 {
                            kept.clear();
                        }
                    }
                    assert!(kept.iter().all(|value| value.number == value.again));
                });
            }
            // Two that replace do so in turn, as under the lock of the manager.
            let turn = Mutex::new(0);
            thread::scope(|writers| {
                for _ in 0..2 {
                    writers.spawn(|| {
                        loop {
                            let mut number = turn.lock().unwrap();
                            if *number == VALUES {
                                break;
                            }
                            *number += 1;
                            drop(place.publish(*number));
                            newest.store(*number, Ordering::Release);
                            if number.is_multiple_of(5) {
                                place.published.clear();
                            }
                            drop(number);
                            thread::yield_now();
                        }
                    });
                }
            });
            over.store(true, Ordering::Release);
        });
        place.published.clear();
        let dropped = place.dropped();
        assert_eq!(dropped.len() as u64, VALUES + 1, "each once");
        assert_eq!(dropped.iter().collect::<HashSet<_>>().len(), dropped.len());
        assert_eq!(place.published.uses(), taken.load(Ordering::Relaxed));
    }
}
