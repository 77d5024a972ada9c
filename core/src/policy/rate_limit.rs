//! How many tokens may be asked for: 10 a minute and 100 an hour, counted here before asking.
//!
//! Promises: a slot is taken before a request and given back only if nothing was written to the network; the windows
//! are kept longer than the server's, so that neither a sliding nor a fixed window there can overflow; what the server
//! says of its own count can only lower ours. A pure data structure on boot time.
//!
//! Facts: 10 a minute, 100 an hour, `X-RateLimit-*` on every answer (88Pay documentation, "Rate limits"). Whether
//! refused requests count is not documented: they are counted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::time::BootTime;

/// The way of a request to 88Pay takes no longer, and clocks of stores are read at least as exactly.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

const MINUTE: Duration = Duration::from_secs(60 + MARGIN.as_secs());
const HOUR: Duration = Duration::from_secs(3600 + 15);

/// Tokens forced by a 401 or by `invalidate` come from a reserve of their own, inside the budget.
const FORCED_PER_HOUR: usize = 20;
const FORCED_EVERY: Duration = Duration::from_secs(10);

/// A slot that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) at: BootTime,
    /// Random, so that those who share the budget know it again; 0 where nobody needs to.
    pub(crate) id: u32,
    /// It was taken while no store could be reached, and the other hosts do not know of it.
    pub(crate) partitioned: bool,
    /// Another host has taken it and may give it back.
    pub(crate) pending: bool,
}

impl Slot {
    /// Its instant, if it is known elsewhere by another one: the later one if it was dated anew, else its own, since what goes
    /// to and fro between clocks must not creep.
    pub(crate) fn dated(&self, elsewhere: Option<&BootTime>) -> BootTime {
        let anew = elsewhere.filter(|at| **at >= self.at.plus(MARGIN));
        anew.copied().unwrap_or(self.at)
    }
}

/// Over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The next slot is free then.
    pub(crate) until: BootTime,
    pub(crate) limit: Limit,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Minute,
    Hour,
    /// This host's share of either, while hosts cannot tell each other what they take.
    Share,
    /// 88Pay said that none is left.
    Server,
    /// That of tokens which a 401 forces.
    Reserve,
}

/// With more hosts than slots in a window they take turns. All together they take one slot of so many, each when a random
/// number says so, and only while half the slots are free: that as many as a window has come together does not happen.
const IN_TURNS: u32 = 4;

/// A turn that is not used by then is over.
const TURN: Duration = MINUTE;

/// More limits of the server than this are not kept one by one.
const MOST_SERVER_LIMITS: usize = 8;

/// What the server said is left, until it counts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerLimit {
    pub(crate) left: u32,
    /// It is the hour that it was said of, else the minute.
    pub(crate) hourly: bool,
    pub(crate) until: BootTime,
}

/// What was counted, by whoever shares the budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The slots that were taken, oldest first, no older than an hour.
    pub(crate) taken: VecDeque<Slot>,
    pub(crate) forced: VecDeque<Slot>,
    /// What the server said is left, the one that ends first before the others. None says less than another.
    pub(crate) server_limits: Vec<ServerLimit>,
}

/// The counts and the limits that this process keeps.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    per_minute: usize,
    per_hour: usize,
    counts: Counts,
    /// Into so many shares, one for each host, what is left is divided while hosts cannot tell each other; else 1.
    shares: usize,
    /// A random number of this host.
    host: u64,
}

impl Counts {
    /// Whether `other` knows of a slot of the last hour that this does not.
    pub(crate) fn lack(&self, other: &Counts, now: BootTime) -> bool {
        let known: HashSet<u32> = self.taken.iter().map(|slot| slot.id).collect();
        let counts = |slot: &&Slot| slot.id != 0 && now < slot.at.plus(Duration::from_secs(3600));
        let mut counted = other.taken.iter().filter(counts);
        counted.any(|slot| !known.contains(&slot.id))
    }

    /// Takes over what `other` has and this does not: what was spent stays spent.
    pub(crate) fn merge(&mut self, other: &Counts) {
        for (mine, theirs) in [
            (&mut self.taken, &other.taken),
            (&mut self.forced, &other.forced),
        ] {
            let dated: HashMap<u32, BootTime> =
                theirs.iter().map(|slot| (slot.id, slot.at)).collect();
            for slot in mine.iter_mut().filter(|slot| slot.id != 0) {
                slot.at = slot.dated(dated.get(&slot.id));
            }
            let known: HashSet<u32> = mine.iter().map(|slot| slot.id).collect();
            // Without an id, one at the same instant is the same slot; both are in order.
            let nameless = |slots: &VecDeque<Slot>| -> Vec<Slot> {
                slots.iter().filter(|slot| slot.id == 0).copied().collect()
            };
            let mut same = nameless(mine).into_iter().peekable();
            for slot in nameless(theirs) {
                while same.next_if(|other| other.at < slot.at).is_some() {}
                if same.next_if(|other| other.at == slot.at).is_none() {
                    mine.push_back(slot);
                }
            }
            mine.extend(
                theirs
                    .iter()
                    .filter(|slot| slot.id != 0 && !known.contains(&slot.id)),
            );
            mine.make_contiguous().sort_by_key(|slot| slot.at);
        }
        // Which was said later is not known: each limit is kept until it ends.
        self.add_server_limits(other.server_limits.iter().copied());
    }

    /// Adds what the server said.
    pub(crate) fn add_server_limit(&mut self, limit: ServerLimit) {
        self.add_server_limits([limit]);
    }

    /// All of it is added before any becomes one, so that it does not matter which of two said what first.
    fn add_server_limits(&mut self, all: impl IntoIterator<Item = ServerLimit>) {
        all.into_iter()
            .for_each(|limit| self.insert_server_limit(limit));
        while self.server_limits.len() > MOST_SERVER_LIMITS {
            // The two that end last become one that says as much as both.
            let limits = &mut self.server_limits;
            let Some((last, before)) = limits.pop().zip(limits.pop()) else {
                return;
            };
            self.insert_server_limit(ServerLimit {
                left: last.left.min(before.left),
                hourly: last.hourly || before.hourly,
                until: last.until,
            });
        }
    }

    fn insert_server_limit(&mut self, limit: ServerLimit) {
        let limits = &mut self.server_limits;
        if limits.iter().any(|known| known.covers(&limit)) {
            return;
        }
        limits.retain(|known| !limit.covers(known));
        limits.push(limit);
        limits.sort_by_key(|limit| (limit.until, limit.left));
    }

    /// The limits of the server that have not ended.
    fn server_limits_at(&self, now: BootTime) -> impl Iterator<Item = &ServerLimit> {
        self.server_limits
            .iter()
            .filter(move |limit| now < limit.until)
    }

    /// Takes over what all hosts have together: what another host has given back since it was found is free again. The slot
    /// of the request that is `under_way` may still be given back by the host that is at work.
    pub(crate) fn find(&mut self, all: &Counts, under_way: Option<u32>) {
        let ids = |slots: &VecDeque<Slot>| slots.iter().map(|slot| slot.id).collect();
        let (spent, mine): (HashSet<u32>, HashSet<u32>) = (ids(&all.taken), ids(&self.taken));
        self.taken
            .retain(|slot| !slot.pending || spent.contains(&slot.id));
        self.merge(all);
        for slot in &mut self.taken {
            slot.pending = Some(slot.id) == under_way && (slot.pending || !mine.contains(&slot.id));
        }
    }

    /// As many slots as a minute has are spent: nobody knows any more what was.
    pub(crate) fn spend_minute(&mut self, now: BootTime, per_minute: u32) {
        self.taken.extend((0..per_minute).map(|_| Slot {
            at: now,
            id: 0,
            partitioned: false,
            pending: false,
        }));
    }

    /// For all hosts: none of these is another's that may still be given back, as far as they are to know.
    pub(crate) fn settled(&mut self) {
        self.taken.iter_mut().for_each(|slot| slot.pending = false);
    }

    /// What of it counts for another key of the same merchant, since 88Pay may count by merchant: the slots, of which none is
    /// given back there. What the server said, it said of this key.
    pub(crate) fn for_other_key(mut self) -> Counts {
        self.server_limits.clear();
        self.settled();
        self
    }

    /// Nobody has said how the request of that slot ended. 88Pay may have counted it as late as now, if it can have been
    /// under way for so long.
    pub(crate) fn date_unfinished(&mut self, id: u32, now: BootTime, longest: Duration) {
        self.date_later(|slot| slot.id == id, now, longest);
    }

    /// The store cannot be reached. Some requests of other hosts were under way when it was read last, and nobody says how
    /// they ended. 88Pay may count each as late as `longest` after its slot was taken.
    pub(crate) fn end_pending(&mut self, longest: Duration) {
        self.date_later(|slot| slot.pending, BootTime(u64::MAX), longest);
        self.settled();
    }

    fn date_later(&mut self, which: impl Fn(&Slot) -> bool, now: BootTime, longest: Duration) {
        for slot in self.taken.iter_mut().filter(|slot| which(slot)) {
            let at = now.min(slot.at.plus(longest));
            slot.at = slot.dated(Some(&at));
        }
        self.taken.make_contiguous().sort_by_key(|slot| slot.at);
    }

    /// The other hosts know of all of these by now.
    pub(crate) fn known_to_all(&mut self) {
        for slots in [&mut self.taken, &mut self.forced] {
            slots.iter_mut().for_each(|slot| slot.partitioned = false);
        }
    }

    fn forget(&mut self, now: BootTime) {
        for times in [&mut self.taken, &mut self.forced] {
            while times.front().is_some_and(|slot| now >= slot.at.plus(HOUR)) {
                times.pop_front();
            }
        }
        self.server_limits.retain(|limit| now < limit.until);
    }
}

impl ServerLimit {
    /// Whether it says all that `other` says.
    fn covers(&self, other: &ServerLimit) -> bool {
        self.left <= other.left && self.until >= other.until && self.hourly >= other.hourly
    }
}

impl Budget {
    pub(crate) fn new(per_minute: u32, per_hour: u32) -> Budget {
        Budget {
            per_minute: per_minute as usize,
            per_hour: per_hour as usize,
            counts: Counts::default(),
            shares: 1,
            host: 0,
        }
    }

    /// From now on so many hosts, of which none knows what the others take, each keep to a share of it; 1 if all can be told.
    /// `host` is a random number of this one.
    pub(crate) fn divide(&mut self, hosts: u32, host: u64) {
        (self.shares, self.host) = (hosts.max(1) as usize, host);
    }

    /// Into how many shares what is left is divided.
    pub(crate) fn shares(&self) -> usize {
        self.shares
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Goes on from what was counted elsewhere.
    pub(crate) fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// Takes a slot for one request that is about to be sent.
    pub(crate) fn take(
        &mut self,
        now: BootTime,
        id: u32,
        partitioned: bool,
    ) -> Result<Slot, Refusal> {
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        for limit in &mut self.counts.server_limits {
            limit.left = limit.left.saturating_sub(1);
        }
        let slot = Slot {
            at: now,
            id,
            partitioned,
            pending: false,
        };
        self.counts.taken.push_back(slot);
        Ok(slot)
    }

    /// Whether more slots are taken than there are: somebody has taken one at the same time, where neither could know of the
    /// other.
    pub(crate) fn is_overdrawn(&self, now: BootTime) -> bool {
        let over = |limit, window| {
            let used = self.window(now, limit, window);
            used.common + used.partitioned > limit
        };
        over(self.per_minute, MINUTE) || over(self.per_hour, HOUR)
    }

    /// Nothing of the request was written to the network.
    pub(crate) fn give_back(&mut self, slot: Slot) {
        let same = |taken: &Slot| (taken.at, taken.id) == (slot.at, slot.id);
        if let Some(at) = self.counts.taken.iter().rposition(same) {
            self.counts.taken.remove(at);
            for limit in &mut self.counts.server_limits {
                limit.left = limit.left.saturating_add(1);
            }
        }
    }

    /// The request of that slot may have been counted at 88Pay as late as at that instant.
    pub(crate) fn date_anew(&mut self, slot: Slot, at: BootTime) {
        let same = |taken: &Slot| (taken.at, taken.id) == (slot.at, slot.id);
        if let Some(index) = self.counts.taken.iter().rposition(same) {
            self.counts.taken.remove(index);
            self.counts.taken.push_back(Slot { at, ..slot });
        }
    }

    /// Books a token that is forced; the slot itself is taken when the request is sent. `id` is that of the token which it
    /// replaces: hosts that share both have forced one.
    pub(crate) fn force(&mut self, now: BootTime, id: u32) -> Result<(), Refusal> {
        self.counts.forget(now);
        let forced = &self.counts.forced;
        if id != 0 && forced.iter().any(|slot| slot.id == id) {
            return Ok(());
        }
        let next = forced.back().map(|last| last.at.plus(FORCED_EVERY));
        let oldest = forced.len().checked_sub(FORCED_PER_HOUR);
        let full = oldest.map(|index| forced[index].at.plus(HOUR));
        let reserve = [next, full].into_iter().flatten().max();
        if let Some(until) = reserve.filter(|until| now < *until) {
            return Err(Refusal {
                until,
                limit: Limit::Reserve,
            });
        }
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        self.counts.forced.push_back(Slot {
            at: now,
            id,
            partitioned: false,
            pending: false,
        });
        Ok(())
    }

    /// `X-RateLimit-Remaining` of a token answer, and when the server counts anew. It can only lower what is left.
    pub(crate) fn note_server_limit(
        &mut self,
        now: BootTime,
        limit: Option<u32>,
        remaining: u32,
        reset_in: Duration,
    ) {
        // Which of its two windows the server means is not documented; its limit says so where it is the hourly one.
        let hourly = limit.is_some_and(|limit| limit as usize > self.per_minute);
        let window = if hourly { HOUR } else { MINUTE };
        let limit = ServerLimit {
            left: remaining,
            hourly,
            until: now.plus(reset_in.min(window)),
        };
        self.counts.forget(now);
        self.counts.add_server_limit(limit);
    }

    /// How many slots there are: in a minute and in an hour.
    pub(crate) fn limits(&self) -> (usize, usize) {
        (self.per_minute, self.per_hour)
    }

    /// Slots left now: in this minute and in this hour.
    pub(crate) fn left(&self, now: BootTime) -> (usize, usize) {
        let mut minute = self.free(now, &self.window(now, self.per_minute, MINUTE));
        let mut hour = self.free(now, &self.window(now, self.per_hour, HOUR));
        for limit in self.counts.server_limits_at(now) {
            let left = limit.left as usize;
            minute = minute.min(left);
            if limit.hourly {
                hour = hour.min(left);
            }
        }
        (minute.min(hour), hour)
    }

    /// The limit that is reached, if one is: the one that is free last, and that of the server if it says more than was
    /// counted here.
    pub(crate) fn refusal(&mut self, now: BootTime) -> Option<Refusal> {
        self.counts.forget(now);
        let full = |most: usize, window, limit| {
            let until = self.full_until(now, most, window)?;
            Some(Refusal { until, limit })
        };
        let server = self.counts.server_limits.iter();
        let server = server.filter(|limit| limit.left == 0);
        let server = server.map(|limit| limit.until).max();
        let minute = full(self.per_minute, MINUTE, Limit::Minute);
        let hour = full(self.per_hour, HOUR, Limit::Hour);
        let counted = [minute, hour].into_iter().flatten();
        let refusal = match (counted.max_by_key(|refusal| refusal.until), server) {
            (Some(refusal), Some(until)) if until < refusal.until.plus(MARGIN) => {
                // It was said of the same slots: its seconds are whole, and the answer was on its way.
                let until = refusal.until.max(until);
                Some(Refusal { until, ..refusal })
            }
            (_, Some(until)) => Some(Refusal {
                until,
                limit: Limit::Server,
            }),
            (counted, None) => counted,
        };
        refusal.map(|refusal| match refusal.limit {
            Limit::Minute | Limit::Hour if self.shares > 1 => Refusal {
                limit: Limit::Share,
                ..refusal
            },
            _ => refusal,
        })
    }

    /// When a slot of that window is free again, if none is now.
    fn full_until(&self, now: BootTime, limit: usize, window: Duration) -> Option<BootTime> {
        let mut used = self.window(now, limit, window);
        if self.free(now, &used) > 0 {
            return None;
        }
        for slot in &self.counts.taken {
            let until = slot.at.plus(window);
            if until > now {
                used.remove(slot);
                if used.left() > 0 {
                    return Some(until);
                }
            }
        }
        // There are more hosts than slots: it is another one's turn, or they can tell each other again by then.
        let (since, period) = self.turn(now);
        Some(now.plus(MINUTE.min(period.saturating_sub(since))))
    }

    /// How many slots of a window this host may take now.
    fn free(&self, now: BootTime, used: &Window) -> usize {
        match used.left() {
            0 if self.has_turn(now, used) => 1,
            left => left,
        }
    }

    /// Whether one slot is this host's although there are more hosts than slots.
    fn has_turn(&self, now: BootTime, used: &Window) -> bool {
        let (since, _) = self.turn(now);
        let began = BootTime(now.0.saturating_sub(since.as_millis() as u64));
        let taken = |slot: &Slot| slot.partitioned && slot.at >= began;
        used.shares > used.limit
            && 2 * used.common <= used.limit
            && since < TURN
            && !self.counts.taken.iter().any(taken)
    }

    /// For how long it has been this host's turn, and how long it is from one to the next.
    fn turn(&self, now: BootTime) -> (Duration, Duration) {
        let each =
            |window: Duration, limit: usize| window * IN_TURNS / limit.clamp(1, 1 << 16) as u32;
        let each = each(HOUR, self.per_hour).max(each(MINUTE, self.per_minute));
        let period = each.as_millis() as u64 * self.shares.clamp(1, 1 << 32) as u64;
        let since = (now.0 % period + self.host % period) % period;
        (Duration::from_millis(since), Duration::from_millis(period))
    }

    fn window(&self, now: BootTime, limit: usize, window: Duration) -> Window {
        let inside = |slot: &&Slot| now < slot.at.plus(window);
        let (mut common, mut partitioned) = (0, 0);
        for slot in self.counts.taken.iter().filter(inside) {
            *(if slot.partitioned {
                &mut partitioned
            } else {
                &mut common
            }) += 1;
        }
        Window {
            limit,
            shares: self.shares,
            common,
            partitioned,
        }
    }
}

/// What was taken inside a window.
struct Window {
    limit: usize,
    shares: usize,
    /// All hosts know of these.
    common: usize,
    /// Only this one does.
    partitioned: usize,
}

impl Window {
    fn left(&self) -> usize {
        (self.limit.saturating_sub(self.common) / self.shares).saturating_sub(self.partitioned)
    }

    fn remove(&mut self, slot: &Slot) {
        *(if slot.partitioned {
            &mut self.partitioned
        } else {
            &mut self.common
        }) -= 1;
    }
}

#[cfg(test)]
mod tests;
