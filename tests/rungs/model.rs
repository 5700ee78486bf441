//! Random operation sequences against a model: every answer, the length, the slots and the drops.

use crate::common::changes::Change;
use crate::common::hashers::Hashing;
use crate::common::ops::{BoundedCase, Case, Op, Setup, run, run_bounded};
use crate::common::{dose, exclusive};
use arbitrary::{Arbitrary, Unstructured};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::fmt::Debug;
use std::num::NonZeroU8;
use std::path::Path;

/// Mostly few keys, so that operations meet.
fn key() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 0..4_u8, 3 => 0..12_u8, 1 => any::<u8>()]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => key().prop_map(Op::Insert),
        8 => (key(), any::<u8>()).prop_map(|(k, t)| Op::InsertTtl(k, t)),
        4 => (key(), -3..9_i8).prop_map(|(k, d)| Op::InsertDeadline(k, d)),
        4 => key().prop_map(Op::TryInsert),
        4 => key().prop_map(Op::GetOrInsert),
        5 => key().prop_map(Op::Update),
        6 => key().prop_map(Op::Remove),
        5 => (key(), any::<u8>()).prop_map(|(k, t)| Op::SetTtl(k, t)),
        6 => key().prop_map(Op::Get),
        1 => key().prop_map(Op::GetCloned),
        2 => key().prop_map(Op::ContainsKey),
        3 => key().prop_map(Op::Ttl),
        8 => (0..9_u8).prop_map(Op::Advance),
        1 => Just(Op::Advance(255)),
        4 => (0..20_u8).prop_map(Op::Sweep),
        3 => Just(Op::FullPass),
        1 => Just(Op::Clear),
        2 => Just(Op::IterCheck),
        2 => Just(Op::Stats),
        1 => any::<u8>().prop_map(Op::Fill),
        24 => change().prop_map(Op::Change),
        3 => Just(Op::Repin),
        3 => Just(Op::Unpin),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let timed = || (key(), any::<u8>());
    let choice = || (key(), any::<bool>());
    prop_oneof![
        3 => key().prop_map(Change::ComputeInsert),
        3 => timed().prop_map(|(k, t)| Change::ComputeInsertTtl(k, t)),
        2 => key().prop_map(Change::ComputeRemove),
        1 => key().prop_map(Change::ComputeAbort),
        2 => key().prop_map(Change::UpdateOrInsert),
        2 => choice().prop_map(|(k, accept)| Change::ReplaceIf(k, accept)),
        2 => choice().prop_map(|(k, accept)| Change::RemoveIf(k, accept)),
        2 => timed().prop_map(|(k, t)| Change::TryInsertTtl(k, t)),
        2 => timed().prop_map(|(k, t)| Change::ExtendTtl(k, t)),
        2 => (key(), -3..9_i8).prop_map(|(k, d)| Change::SetDeadline(k, d)),
        1 => key().prop_map(Change::Persist),
        2 => key().prop_map(Change::GetEntry),
        6 => timed().prop_map(|(k, t)| Change::GetOrRefresh(k, t)),
        3 => Just(Change::Refresh),
        1 => Just(Change::GiveBack),
        1 => (0..5_u8).prop_map(Change::Retain),
        1 => Just(Change::NextDeadline),
        1 => Just(Change::IterEntries),
        1 => Just(Change::Shrink),
    ]
}

fn case(hashing: Hashing) -> impl Strategy<Value = Case> {
    let setup = (0..20_u8, prop::option::of(any::<u8>()), 0..8_u8);
    let setup = setup.prop_map(move |(capacity, time_to_live, sweep_per_write)| Setup {
        hashing,
        capacity,
        time_to_live,
        sweep_per_write,
    });
    (setup, vec(op(), 0..150)).prop_map(|(setup, ops)| Case { setup, ops })
}

fn bounded_case(hashing: Hashing) -> impl Strategy<Value = BoundedCase> {
    // Few, so that most keys do not fit; or so many that it takes a `Fill`.
    let max_entries = prop_oneof![3 => 1..12_u8, 1 => 12..=u8::MAX];
    (max_entries, case(hashing)).prop_map(|(most, case)| BoundedCase {
        max_entries: NonZeroU8::new(most).expect("1 at least"),
        case,
    })
}

fn agrees(hashings: &'static [Hashing]) {
    check(hashings, case, run);
}

/// `PROPTEST_CASES` sets the number of cases (of each hash function); a failing case is printed in full.
fn check<C, S>(hashings: &'static [Hashing], cases: fn(Hashing) -> S, run: fn(&C))
where
    C: Debug + 'static,
    S: Strategy<Value = C> + 'static,
{
    exclusive(move || {
        for hashing in hashings {
            let count = if std::env::var_os("PROPTEST_CASES").is_some() {
                Config::default().cases
            } else {
                dose(8, 150) as u32
            };
            let config = Config { cases: count, failure_persistence: None, ..Config::default() };
            let checked = TestRunner::new(config).run(&cases(*hashing), |case| {
                run(&case);
                Ok(())
            });
            if let Err(error) = checked {
                panic!("{error}");
            }
        }
    });
}

#[test]
fn map_agrees_with_the_model_under_a_good_hash() {
    agrees(&[Hashing::Sip, Hashing::Identity]);
}

#[test]
fn map_agrees_with_the_model_when_hashes_collide() {
    agrees(&[Hashing::Constant, Hashing::FewBits]);
}

#[test]
fn map_agrees_with_the_model_when_halves_of_the_hashes_tie() {
    agrees(&[
        Hashing::LowHalf,
        Hashing::HighHalf,
        Hashing::TiesGolden,
        Hashing::TiesFx,
        Hashing::TiesRustc,
    ]);
}

/// The listener tells the model what had to go; all else is as without a maximum.
#[test]
fn bounded_map_agrees_with_the_model_but_for_what_had_to_go() {
    check(&[Hashing::Sip, Hashing::FewBits], bounded_case, run_bounded);
}

#[test]
fn committed_fuzz_corpus_agrees_with_the_model() {
    replay("ops", run);
}

#[test]
fn committed_fuzz_corpus_of_bounded_maps_agrees_with_the_model() {
    replay("bounded", run_bounded);
}

/// Replays `fuzz/corpus/TARGET`, read as the fuzz target reads it.
fn replay<C: for<'a> Arbitrary<'a> + 'static>(target: &'static str, run: fn(&C)) {
    exclusive(move || {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let Ok(files) = corpus.read_dir() else {
            println!("SKIPPED: no corpus in {}", corpus.display());
            return;
        };
        let mut paths: Vec<_> = files.map(|file| file.expect("readable corpus").path()).collect();
        paths.sort_unstable(); // named by their contents
        for path in paths.iter().step_by(dose(16, 1) as usize) {
            println!("{}", path.display());
            let bytes = std::fs::read(path).expect("readable corpus");
            if let Ok(case) = C::arbitrary_take_rest(Unstructured::new(&bytes)) {
                run(&case);
            }
        }
    });
}
