//! The counts and limits of an account, for monitoring.

use std::time::Duration;

use crate::manager::account::Account;
use crate::manager::shared_tier::{self, Peeked};
use crate::manager::token::Token;
use crate::refresh::Key;
use crate::telemetry::stats::Stats;

pub(crate) fn stats(account: &Account) -> Stats {
    // What is shared counts, not what this process has seen of it last.
    let _: Peeked = shared_tier::peek(account);
    let now = account.clock.boot();
    let token = account.cache.peek();
    let (share, share_path, share_degraded) = account.store.status();
    let (store, store_degraded, hosts) =
        account.store.fleet_status(account.keys().get(Key::Current));
    let state = account.state();
    Stats {
        share,
        share_path,
        share_degraded,
        store,
        store_degraded,
        hosts,
        tokens_shared: account.counters.shared.get(),
        manager_id: account.id,
        hits: account.cache.hits(),
        waits: account.counters.waits.get(),
        refreshes: state.attempts,
        tokens_issued: account.counters.issued.get(),
        refreshes_failed: account.counters.failed.get(),
        calls: account.counters.calls.get(),
        calls_repeated: account.counters.calls_repeated.get(),
        calls_failed: account.counters.calls_failed.get(),
        calls_answered: account.counters.calls_answered(),
        generation: token.as_ref().map_or(0, Token::generation),
        token_age: token
            .as_ref()
            .map(|token| token.0.stamp.asked_at.until(now)),
        token_valid_for: token.as_ref().map_or(Duration::ZERO, Token::valid_for),
        budget_left: state.ledger.budget.left(now),
        budget_split: state.ledger.budget.shares(),
        hold: state.ledger.backoffs.current(now),
    }
}
