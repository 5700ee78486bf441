//! The checker of histories, `common/history.rs`, is checked: by hand-made histories, by random ones that are
//! right, and against another checker.

mod random;
mod refused;

use crate::common::history::{Answer, Call, Event, Life, Order, Parity, check};

/// `(call, answer, began, ended, clock before, clock after)`.
type Row = (Call, Answer, u64, u64, u64, u64);

fn verdict(rows: &[Row]) -> bool {
    let event = |row: &Row| {
        let (call, answer, began, ended, before, after) = *row;
        Event { thread: 0, call, answer, began, ended, clock: (before, after) }
    };
    let events: Vec<_> = rows.iter().map(event).collect();
    check(&events).is_ok_and(|order| is_an_order(&events, &order))
}

/// Asserts that an order has each event once, and none before one that ended before it began.
fn is_an_order(events: &[Event], order: &Order) -> bool {
    let mut numbers: Vec<usize> = order.iter().map(|(number, _)| *number).collect();
    for (place, later) in numbers.iter().enumerate() {
        let overtaken = |earlier: &usize| events[*later].ended < events[*earlier].began;
        assert!(!numbers[..place].iter().any(overtaken), "{order:?}: {events:#?}");
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..events.len()), "{order:?}: {events:#?}");
    true
}

/// A refresh with the token of the entry that has the value `of`.
const fn refresh(of: u64, value: u64) -> Call {
    Call::Refresh { of, value, life: Life::Default }
}

use Answer::{Absent, Left, Refused, Stale, Token, Value, Yes};
use Call::{
    ComputeAbort, ComputePut, ComputePutFor, ComputeRemove, ExtendTtl, Get, GetOrInsert,
    GetOrRefresh, Insert, Persist, Remove, RemoveIf, ReplaceIf, ReturnToken, SetDeadline, SetTtl,
    TryInsert, Update,
};
use Life::{For, Forever, Until};

#[expect(clippy::too_many_lines, reason = "a list of cases")]
#[test]
fn checker_accepts_what_an_order_explains() {
    let histories: &[&[Row]] = &[
        &[],
        &[(Get, Absent, 0, 1, 0, 0)],
        // One after the other.
        &[(Insert(1, Forever), Absent, 0, 1, 0, 0), (Get, Value(1), 2, 3, 0, 0)],
        // Overlapping, in either order.
        &[(Insert(1, Forever), Absent, 0, 3, 0, 0), (Get, Value(1), 1, 2, 0, 0)],
        &[(Insert(1, Forever), Absent, 0, 3, 0, 0), (Get, Absent, 1, 2, 0, 0)],
        // The last instant before the deadline, and the deadline.
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Value(1), 2, 3, 4, 4)],
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Absent, 2, 3, 5, 5)],
        // Time passed within the call: either.
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Absent, 2, 3, 4, 5)],
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Value(1), 2, 3, 4, 5)],
        // A TTL counts from an instant of its call.
        &[(Insert(1, For(5)), Absent, 0, 1, 0, 2), (Get, Value(1), 2, 3, 6, 6)],
        &[(Insert(1, For(5)), Absent, 0, 1, 0, 2), (Call::Ttl, Left(1), 2, 3, 5, 5)],
        // A remove that judged in time and lands later, beside a get that says expired.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (Remove, Value(1), 2, 5, 4, 6),
            (Get, Absent, 3, 4, 6, 6),
        ],
        // What no map without traces of its readers can forbid: a renewal and a replacement that read
        // the clock in time and land after a get said expired.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (SetTtl(9), Yes, 2, 5, 4, 6),
            (Get, Absent, 3, 4, 5, 5),
            (Get, Value(1), 6, 7, 6, 6),
        ],
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (Insert(2, Forever), Value(1), 2, 5, 4, 6),
            (Get, Absent, 3, 4, 5, 5),
        ],
        // A renewal that lands after the deadline it sets.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (SetTtl(2), Yes, 2, 5, 3, 7),
            (Get, Absent, 3, 4, 6, 6),
            (Get, Absent, 6, 7, 7, 7),
        ],
        // An insert that lands after its own deadline, and is as good as none.
        &[
            (Insert(1, Until(5)), Absent, 0, 3, 4, 6),
            (Get, Absent, 1, 2, 6, 6),
            (TryInsert(2), Yes, 4, 5, 6, 6),
        ],
        // The insert that came second to `get_or_insert_with`, and an expired one that did not.
        &[
            (GetOrInsert(1), Yes, 0, 3, 0, 0),
            (GetOrInsert(2), Value(1), 1, 2, 0, 0),
            (Call::Ttl, Left(u64::MAX), 4, 5, 9, 9),
        ],
        &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (GetOrInsert(2), Yes, 2, 3, 4, 5)],
        // An update keeps the deadline that a renewal set before it.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (SetTtl(20), Yes, 2, 5, 1, 1),
            (Update(2), Value(1), 3, 4, 1, 1),
            (Get, Value(2), 6, 7, 20, 20),
        ],
        // What ends an entry behind a renewal that was late, though a reader saw it past that deadline meanwhile.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (Remove, Value(1), 2, 11, 4, 7),
            (SetTtl(9), Yes, 3, 4, 4, 4),
            (SetDeadline(5), Yes, 5, 10, 4, 7),
            (Get, Value(1), 6, 7, 6, 6),
            (Get, Absent, 12, 13, 7, 7),
        ],
        // A deadline that had passed, and one that is kept where the other is later.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (SetDeadline(3), Yes, 2, 3, 3, 3),
            (Get, Absent, 4, 5, 3, 3),
        ],
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (ExtendTtl(2), Yes, 2, 3, 1, 2),
            (Get, Value(1), 4, 5, 4, 4),
            (ExtendTtl(2), Yes, 6, 7, 4, 4),
            (Get, Value(1), 8, 9, 5, 5),
            (Persist, Yes, 10, 11, 5, 5),
            (Get, Value(1), 12, 13, 90, 90),
        ],
        // Conditions that accept and refuse; a closure that says each thing.
        &[
            (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
            (RemoveIf(Parity(0)), Refused(1), 2, 3, 0, 0),
            (ReplaceIf(2, Parity(1)), Value(1), 4, 5, 0, 0),
            (ComputePut(3), Value(2), 6, 7, 4, 4),
            (ComputeAbort, Value(3), 8, 9, 4, 4),
            (ComputeAbort, Absent, 10, 11, 5, 5),
            (ComputePutFor(4, 2), Yes, 12, 13, 5, 5),
            (RemoveIf(Parity(0)), Value(4), 14, 15, 6, 6),
            (ComputePut(5), Yes, 16, 17, 6, 6),
            (ComputeRemove, Value(5), 18, 19, 90, 90),
        ],
        // Fresh up to the last instant, due up to the deadline; the refresh comes in time, or too late.
        &[
            (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
            (GetOrRefresh(4), Value(1), 2, 3, 4, 4),
            (GetOrRefresh(4), Token(1), 4, 5, 5, 5),
            (GetOrRefresh(4), Stale(1), 6, 7, 8, 8),
            (refresh(1, 2), Yes, 8, 9, 8, 8),
            (GetOrRefresh(4), Value(2), 10, 11, 9, 9),
        ],
        &[
            (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
            (GetOrRefresh(4), Token(1), 2, 3, 5, 5),
            (Insert(2, Forever), Value(1), 4, 5, 5, 5),
            (refresh(1, 3), Absent, 6, 7, 5, 5),
            (Get, Value(2), 8, 9, 5, 5),
        ],
        &[
            (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
            (GetOrRefresh(4), Token(1), 2, 3, 5, 5),
            (refresh(1, 3), Absent, 6, 7, 9, 9),
        ],
        // Two tokens of one entry, one after the other: the first goes back within the second call.
        &[
            (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
            (GetOrRefresh(4), Token(1), 2, 3, 5, 5),
            (GetOrRefresh(4), Token(1), 4, 7, 5, 5),
            (ReturnToken(1), Yes, 5, 6, 5, 5),
        ],
    ];
    for history in histories {
        assert!(verdict(history), "{history:?}");
    }
}
