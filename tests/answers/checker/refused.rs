//! Histories that no order explains.

use super::{Row, refresh, verdict};
use crate::common::history::{Answer, Call, Life, Parity};

use Answer::{Absent, Left, Refused, Stale, Token, Value, Yes};
use Call::{
    ComputePut, ComputePutFor, ComputeRemove, ContainsKey, ExtendTtl, Get, GetOrRefresh, Insert,
    Persist, Remove, RemoveIf, ReplaceIf, ReturnToken, SetDeadline, SetTtl, TryInsert, Update,
};
use Life::{For, Forever, Until};

#[expect(clippy::too_many_lines, reason = "a list of cases")]
#[test]
fn checker_refuses_what_no_order_explains() {
    let histories: &[(&str, &[Row])] = &[
        ("a value from nowhere", &[(Get, Value(1), 0, 1, 0, 0)]),
        (
            "a stale read",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 3, 0, 0),
                (Get, Value(1), 4, 5, 0, 0),
            ],
        ),
        (
            "reads that go back",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 9, 0, 0),
                (Get, Value(2), 3, 4, 0, 0),
                (Get, Value(1), 5, 6, 0, 0),
            ],
        ),
        (
            "one value removed twice",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Remove, Value(1), 2, 5, 0, 0),
                (Remove, Value(1), 3, 4, 0, 0),
            ],
        ),
        (
            "one value replaced twice",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 5, 0, 0),
                (Insert(3, Forever), Value(1), 3, 4, 0, 0),
            ],
        ),
        (
            "two that were first",
            &[(TryInsert(1), Yes, 0, 3, 0, 0), (TryInsert(2), Yes, 1, 2, 0, 0)],
        ),
        (
            "absent although always there",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 2, 5, 0, 0),
                (Get, Absent, 3, 4, 0, 0),
            ],
        ),
        (
            "expired a tick too early",
            &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (Get, Absent, 2, 3, 4, 4)],
        ),
        (
            "expired a tick too late",
            &[(Insert(1, Until(5)), Absent, 0, 1, 0, 0), (ContainsKey, Yes, 2, 3, 5, 5)],
        ),
        (
            "alive after it was seen expired, within one tick of both",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 4, 5),
                (Get, Value(1), 4, 5, 4, 6),
            ],
        ),
        (
            "absent although renewed in time",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (SetTtl(9), Yes, 2, 3, 4, 4),
                (Get, Absent, 4, 5, 6, 6),
            ],
        ),
        (
            "renewed although seen expired before",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 5, 5),
                (SetTtl(9), Yes, 4, 5, 5, 5),
            ],
        ),
        (
            "a renewal that an update lost",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (SetTtl(20), Yes, 2, 5, 1, 1),
                (Update(2), Value(1), 3, 4, 1, 1),
                (Get, Absent, 6, 7, 20, 20),
            ],
        ),
        (
            "updated although seen expired",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 5, 5),
                (Update(2), Value(1), 4, 5, 5, 5),
            ],
        ),
        (
            "removed and renewed to nothing",
            &[
                (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
                (Remove, Value(1), 2, 5, 0, 0),
                (SetTtl(0), Yes, 3, 4, 0, 0),
            ],
        ),
        (
            "a time left that was left at no instant",
            &[(Insert(1, Until(9)), Absent, 0, 1, 0, 0), (Call::Ttl, Left(7), 2, 3, 3, 4)],
        ),
        (
            "a lost update",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Update(2), Value(1), 2, 5, 0, 0),
                (Update(3), Value(1), 3, 4, 0, 0),
            ],
        ),
        (
            "there again after it was removed",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (Remove, Value(1), 2, 3, 0, 0),
                (Get, Value(1), 4, 5, 0, 0),
            ],
        ),
        (
            "seen before it was put",
            &[(Get, Value(1), 0, 1, 0, 0), (Insert(1, Forever), Absent, 2, 3, 0, 0)],
        ),
        (
            "absent although replaced in time, by the old deadline and a new reading",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Value(1), 3, 4, 4, 4),
                (Get, Absent, 2, 5, 4, 6),
            ],
        ),
        (
            "absent although renewed in time, by the old deadline and a new reading",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (SetTtl(9), Yes, 3, 4, 4, 4),
                (Get, Absent, 2, 5, 4, 6),
            ],
        ),
        (
            "replaced as expired before it was",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Insert(2, Forever), Absent, 2, 5, 4, 6),
                (Get, Value(2), 3, 4, 4, 4),
            ],
        ),
        (
            "a TTL counted from an instant that had not come",
            &[(Insert(1, For(5)), Absent, 0, 3, 0, 2), (Call::Ttl, Left(6), 1, 2, 1, 1)],
        ),
        (
            "in the way although seen expired",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 2, 3, 5, 5),
                (TryInsert(2), Value(1), 4, 5, 5, 6),
            ],
        ),
        (
            "removed although seen expired",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Get, Absent, 3, 4, 5, 5),
                (Remove, Value(1), 5, 6, 4, 6),
            ],
        ),
        (
            "a deadline that an update moved",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Update(2), Value(1), 2, 3, 1, 1),
                (Call::Ttl, Left(5), 4, 5, 1, 1),
            ],
        ),
        ("no answer of that call", &[(Get, Yes, 0, 1, 0, 0)]),
        (
            "an entry that never was visible",
            &[(Insert(1, Until(5)), Absent, 0, 3, 6, 6), (Get, Value(1), 1, 2, 4, 6)],
        ),
        (
            "removed after it was over by a deadline that had passed",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Remove, Value(1), 2, 9, 4, 6),
                (SetTtl(9), Yes, 3, 4, 4, 4),
                (SetDeadline(5), Yes, 5, 6, 6, 6),
                (Get, Absent, 7, 8, 6, 6),
            ],
        ),
        (
            "visible by a deadline that had passed",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (SetDeadline(3), Yes, 2, 3, 3, 3),
                (Get, Value(1), 4, 5, 3, 3),
            ],
        ),
        (
            "a deadline that an extension made earlier",
            &[
                (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
                (ExtendTtl(2), Yes, 2, 3, 1, 1),
                (Get, Absent, 4, 5, 8, 8),
            ],
        ),
        (
            "an extension that was lost",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (ExtendTtl(9), Yes, 2, 3, 1, 1),
                (Get, Absent, 4, 5, 9, 9),
            ],
        ),
        (
            "expired although it was to last",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (Persist, Yes, 2, 3, 4, 4),
                (Get, Absent, 4, 5, 9, 9),
            ],
        ),
        (
            "refused, and not of that kind",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (RemoveIf(Parity(1)), Refused(1), 2, 3, 0, 0),
            ],
        ),
        (
            "removed against its condition",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (RemoveIf(Parity(0)), Value(1), 2, 3, 0, 0),
            ],
        ),
        (
            "replaced against its condition",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (ReplaceIf(2, Parity(0)), Value(1), 2, 3, 0, 0),
            ],
        ),
        (
            "a deadline that a computed value moved",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (ComputePut(2), Value(1), 2, 3, 4, 4),
                (Get, Value(2), 4, 5, 5, 5),
            ],
        ),
        (
            "a TTL that a computed value has not",
            &[
                (Insert(1, Until(5)), Absent, 0, 1, 0, 0),
                (ComputePutFor(2, 9), Value(1), 2, 3, 4, 4),
                (Get, Absent, 4, 5, 5, 5),
            ],
        ),
        (
            "put in the place of a value that was removed before",
            &[
                (Insert(1, Forever), Absent, 0, 1, 0, 0),
                (ComputeRemove, Value(1), 2, 3, 0, 0),
                (ComputePut(2), Value(1), 4, 5, 0, 0),
            ],
        ),
        (
            "due too early",
            &[(Insert(1, Until(9)), Absent, 0, 1, 0, 0), (GetOrRefresh(4), Token(1), 2, 3, 4, 4)],
        ),
        (
            "due, and told fresh",
            &[(Insert(1, Until(9)), Absent, 0, 1, 0, 0), (GetOrRefresh(4), Value(1), 2, 3, 5, 5)],
        ),
        (
            "due, and for ever",
            &[(Insert(1, Forever), Absent, 0, 1, 0, 0), (GetOrRefresh(4), Token(1), 2, 3, 4, 4)],
        ),
        (
            "two tokens at a time",
            &[
                (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
                (GetOrRefresh(4), Token(1), 2, 3, 5, 5),
                (GetOrRefresh(4), Token(1), 4, 5, 5, 5),
                (ReturnToken(1), Yes, 6, 7, 5, 5),
            ],
        ),
        (
            "stale while nobody had the token",
            &[(Insert(1, Until(9)), Absent, 0, 1, 0, 0), (GetOrRefresh(4), Stale(1), 4, 5, 5, 5)],
        ),
        (
            "refreshed on top of a newer value",
            &[
                (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
                (GetOrRefresh(4), Token(1), 2, 3, 5, 5),
                (Insert(2, Forever), Value(1), 4, 5, 5, 5),
                (refresh(1, 3), Yes, 6, 7, 5, 5),
            ],
        ),
        (
            "refreshed although seen expired",
            &[
                (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
                (GetOrRefresh(4), Token(1), 2, 3, 5, 5),
                (Get, Absent, 4, 5, 9, 9),
                (refresh(1, 3), Yes, 6, 7, 9, 9),
            ],
        ),
        (
            "a refresh in time that failed",
            &[
                (Insert(1, Until(9)), Absent, 0, 1, 0, 0),
                (GetOrRefresh(4), Token(1), 2, 3, 5, 5),
                (refresh(1, 3), Absent, 6, 7, 8, 8),
            ],
        ),
    ];
    for (what, history) in histories {
        assert!(!verdict(history), "{what}: {history:?}");
    }
}
