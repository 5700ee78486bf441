//! The plants: bugs that are put into the protocol to see that the explorer catches them. Each names
//! the configuration by which it is caught fast; `--plant NAME` tries others.

macro_rules! plants {
    ($($plant:ident $name:literal $what:literal $config:literal)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Plant {
            $($plant,)*
        }

        impl Plant {
            pub(crate) const ALL: &[Plant] = &[$(Plant::$plant,)*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Plant::$plant => $name,)* }
            }
            pub(crate) fn what(self) -> &'static str {
                match self { $(Plant::$plant => $what,)* }
            }
            /// The configuration that catches it.
            pub(crate) fn caught_by(self) -> &'static str {
                match self { $(Plant::$plant => $config,)* }
            }
        }
    };
}

plants! {
    NoCount "no-count"
        "a publication does not count" "?"
    CountOfOneBit "count-of-one-bit"
        "COUNT comes round after two publications" "?"
    CountOfTwoBits "count-of-two-bits"
        "COUNT comes round after four publications" "?"
    NoSecondLook "no-second-look"
        "a lookup takes a draft's slot without a second look at A" "?"
    UnsureIsHit "unsure-is-hit"
        "second look, A changed: the slot counts" "?"
    UnsureIsMiss "unsure-is-miss"
        "second look, A changed: no slot counts" "?"
    AnothersDraftTaken "anothers-draft-taken"
        "second look: another's draft in the cell counts" "?"
    WriterTakesDraft "writer-takes-draft"
        "a search does not look at A again before it takes a draft's slot" "?"
    FlagOffFirst "flag-off-first"
        "DRAFT is taken off before the publication" "?"
    FlagOffByAnd "flag-off-by-and"
        "DRAFT is taken off by fetch_and" "?"
    FlagOffByStore "flag-off-by-store"
        "DRAFT is taken off by a store" "?"
    PublishedFromReloadedA "published-from-reloaded-a"
        "a publication is a CAS from A as it is now, not as it was searched" "?"
    PublishedByOr "published-by-or"
        "a publication is a fetch_or" "?"
    ByteAfterPublication "byte-after-publication"
        "the byte of B is written after the publication" "?"
    ReservedByStore "reserved-by-store"
        "a cell is reserved by a store" "?"
    DeadPassedOver "dead-passed-over"
        "a search goes past a dead candidate and does not clear it" "?"
    ReplacementNotSwungFirst "replacement-not-swung-first"
        "a search acts on a replacement that no cell names yet" "?"
    IntoChainedLine "into-chained-line"
        "an insert publishes in a chained line that has room" "?"
    VacatedFirst "vacated-first"
        "VACANT is stored before the clear" "?"
    VacantIsZero "vacant-is-zero"
        "VACANT is the zero of a cell that was never used" "?"
    LoserRetires "loser-retires"
        "who loses the clear retires as well" "?"
    RetiredFirst "retired-first"
        "a remover retires before it clears" "?"
    ClearedByAnd "cleared-by-and"
        "a clear is a fetch_and" "?"
    SwungByStore "swung-by-store"
        "a swing is a store" "?"
    DoesNotTidy "does-not-tidy"
        "who ended an entry returns though its clear or swing failed" "?"
    TidiesOnlyDead "tidies-only-dead"
        "who replaced an entry returns though its swing failed" "?"
    VacatedBeforeStateCas "vacated-before-state-cas"
        "a draft that replaces leaves its cell before its CAS has won, and may reserve it again" "?"
    AbandonedGivenBackAtOnce "abandoned-given-back-at-once"
        "the slot of a draft that a cell named is free without a grace period" "?"
    AbandonedCellKept "abandoned-cell-kept"
        "who abandons a draft does not vacate its cell" "?"
    ExpiryNotConfirmed "expiry-not-confirmed"
        "a lookup believes the clock without looking at the word again" "?"
    AlwaysLive "always-live"
        "an expired entry is replaced as if it was visible" "?"
    NeverLive "never-live"
        "a visible entry is replaced as if it was expired" "?"
    DeadlineStored "deadline-stored"
        "a deadline is set by a store" "?"
    PresentTickStored "present-tick-stored"
        "a deadline that is over when it is set is stored as it is" "?"
    SweptWithoutCell "swept-without-cell"
        "a sweep claims by the slot's words, without a cell that names it" "?"
    SweptFromAnyWord "swept-from-any-word"
        "a sweep claims from the word that stands there, not from the one that was due" "?"
    SnapshotNotValidated "snapshot-not-validated"
        "an iteration does not look at A again" "?"
    IterationUnfiltered "iteration-unfiltered"
        "an iteration tells entries of other ranges" "?"
    ClearDoesNotTidy "clear-does-not-tidy"
        "a clear of the map leaves what it ended in its cell" "?"
    FrozenIgnored "frozen-ignored"
        "a lookup stays in a frozen line" "?"
    NoMark "no-mark"
        "a migration does not mark the cells" "?"
    DeadLeftOut "dead-left-out"
        "a migration leaves dead entries out" "?"
    BornBeforeFilled "born-before-filled"
        "a target is born before its cells are filled" "?"
    TargetStored "target-stored"
        "a target's cells are stored, not compared with zero" "?"
    NoBornTest "no-born-test"
        "a migration looks into nodes though the targets are born" "?"
    BornTestOfOneTarget "born-test-of-one-target"
        "a group counts as migrated when its first target is born" "?"
    EnteredWithUnbornSibling "entered-with-unborn-sibling"
        "a writer enters a target before the other one is born" "?"
    ClaimedIsDone "claimed-is-done"
        "the root is switched when all shares are claimed" "?"
    ClaimedByStore "claimed-by-store"
        "a share is claimed by a load and a store" "?"
    VerifiedUnseen "verified-unseen"
        "the second cursor goes on without a look at the share" "?"
    ArrayFreedAtOnce "array-freed-at-once"
        "an array is freed without a grace period" "?"
}
