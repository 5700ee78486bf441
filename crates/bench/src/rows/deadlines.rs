//! R5: lookups of entries with deadlines, which a hit has to compare with the time.

use super::common::{filled, filled_by};
use super::reads::{by_many, count, described, million, readings};
use crate::keys::{Hot, Key, Rng, keys, zipf};
use crate::maps::{
    BRIEF, DASHMAP_TICKS, DASHMAP_TTL, EVANESCE, EVANESCE_TICKS, EVANESCE_TTL, MANY, MOKA_TTL,
    PAPAYA_TICKS, PAPAYA_TTL, Peer, Way, driven, entrants,
};
use crate::results::{Against, CLOCK, Case, Measured, Target, Verdict};
use crate::told::{Results, Run, Stop, interleave};

const PEERS: [&str; 5] = [MOKA_TTL, PAPAYA_TTL, PAPAYA_TICKS, DASHMAP_TTL, DASHMAP_TICKS];
const CASES: usize = 8;

/// What a deadline may cost: so many nanoseconds more than without one, or so many times as much.
#[derive(Clone, Copy)]
enum Price {
    Extra(Target),
    Times(Target),
}

/// Of each of ours.
type Prices = [(&'static str, Price); 2];

const EXTRA: Price = Price::Extra(Target::must(6.0).and_aim(3.0));
const NO_MORE: Price = Price::Times(Target::must(1.05));

const OF_1K: Prices = [(EVANESCE_TTL, EXTRA), (EVANESCE_TICKS, Price::Extra(Target::must(1.0)))];
const OF_100K: Prices = [(EVANESCE_TTL, EXTRA), (EVANESCE_TICKS, NO_MORE)];
const OF_1M: Prices =
    [(EVANESCE_TTL, Price::Times(Target::must(1.3).and_aim(1.1))), (EVANESCE_TICKS, NO_MORE)];
const OF_BRIEF: Prices = [(EVANESCE_TTL, Price::Extra(Target::TOLD)), (EVANESCE_TICKS, NO_MORE)];

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    // With deadlines first: the table compares the first of ours with the peers, which have some, too.
    let ours = [EVANESCE_TTL, EVANESCE_TICKS, EVANESCE];
    let maps = entrants(&[&ours[..], &PEERS[..]].concat());
    let mut row = Row::new(run, &maps);
    let (count, middle, n) = (count(run), run.pick(100_000, 100_000, 1_000), million(run));

    let draws = |n: usize| [Rng::new(1).draws::<u64>(n, count)];
    row.case("hit, 1k", &filled(&maps, 1_000)?, &draws(1_000), &[], OF_1K)?;
    row.case("hit, 100k", &filled(&maps, middle)?, &draws(middle), &[], OF_100K)?;

    let brief = filled_by(&maps, middle, |name| driven(name, Way::Briefly))?;
    let all: Vec<u64> = keys(0..middle);
    row.case("hit, 100k, deadline near", &brief, &draws(middle), &all, OF_BRIEF)?;
    drop(brief);

    let many = filled_by(&maps, n, |name| driven(name, Way::Many))?;
    row.case("get_many, 1M uniform, a key", &many, &draws(n), &[], OF_1M)?;
    drop(many);

    let large = filled(&maps, n)?;
    row.case("hit, 1M uniform", &large, &draws(n), &[], OF_1M)?;
    let orders = [1, 2].map(|seed| zipf::<u64>(n, count, Hot::Scattered, seed));
    row.case("Zipf, one thread", &large, &orders[..1], &[], OF_1M)?;
    row.case("Zipf, two threads", &large, &orders, &[], OF_1M)?;
    drop(large);

    let texts = [zipf::<String>(n, count, Hot::Scattered, 1)];
    row.case("String, Zipf, one thread", &filled(&maps, n)?, &texts, &[], OF_1M)?;
    Ok(vec![("R5", row.measured)])
}

/// The row as far as it is measured.
struct Row<'a> {
    run: &'a Run,
    /// Maps, and the reading of the clock behind them.
    entrants: Vec<&'static str>,
    measured: Measured,
}

impl<'a> Row<'a> {
    fn new(run: &'a Run, maps: &[&'static str]) -> Self {
        let entrants = [maps, &[CLOCK]].concat();
        let mut measured = Measured::default();
        described(run, &mut measured);
        measured.parameter("keys at once", MANY);
        measured.parameter("seconds to a near deadline", BRIEF);
        for note in NOTES {
            measured.note(note);
        }
        run.expect(CASES * run.rounds() * entrants.len());
        Self { run, entrants, measured }
    }

    /// Looks keys up, by as many threads as there are orders; before each pass, `renewed` are put again.
    fn case<K: Key>(
        &mut self,
        name: &str,
        maps: &[Box<dyn Peer<K>>],
        orders: &[Vec<K>],
        renewed: &[K],
        prices: Prices,
    ) -> Result<(), Stop> {
        let Self { run, entrants, measured } = self;
        let passes = interleave(run, name, entrants, run.rounds(), |_, who| {
            let Some(map) = maps.get(who) else { return Ok(Some(readings(orders[0].len()))) };
            map.insert(renewed);
            map.get(&orders[0][..orders[0].len() / 8]);
            by_many(name, entrants[who], &**map, orders).map(Some)
        })?;
        let case = Case::new(name, "ns", entrants, &passes, |ns| *ns);
        let judge = |(us, price): (&str, Price)| match price {
            Price::Extra(target) => extra(&case, us, target),
            Price::Times(target) => case.judge(us, Against::Peer(EVANESCE), target),
        };
        measured.verdicts.extend(prices.into_iter().filter_map(judge));
        let ahead = |us| PEERS.map(|peer| (us, Against::Peer(peer), Target::must(1.0)));
        let targets = [EVANESCE_TTL, EVANESCE_TICKS].map(ahead).concat();
        measured.add(case, &targets);
        Ok(())
    }
}

const NOTES: [&str; 4] = [
    "In brackets is the ratio of evanesce+ttl to a peer. `extra` is how many nanoseconds one of ours takes more than \
     evanesce, which has no deadlines, in the same round.",
    "`+ttl` judges by the exact time (evanesce only where the coarse one does not do), `+ticks` by a word that a \
     thread sets every millisecond: evanesce's `TickClock`, or quanta's `Upkeep`. Both threads run in all passes. \
     moka has a `time_to_live`; papaya and dashmap keep the deadline in the value.",
    "Deadlines are an hour away. In the case of near ones those of ours are so near that the exact time must be read, \
     and all entries are put again before each pass; what a peer does is the same however near they are.",
    "In `get_many` ours are asked for many keys at once, the others one by one. The clock reading is one \
     `Instant::now()` in a stream of them.",
];

/// How many nanoseconds more than without deadlines, round by round.
fn extra(case: &Case, us: &str, target: Target) -> Option<Verdict> {
    let (mortal, plain) = (case.of(us)?, case.of(EVANESCE)?);
    let extra: Vec<f64> =
        mortal.rounds.iter().zip(&plain.rounds).map(|(mortal, plain)| mortal - plain).collect();
    Some(target.judge(&case.name, us, EVANESCE, "extra, ns", &extra))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // halves are exact
    fn extra_is_within_a_round() {
        // The difference of the medians would be 3; no round saw that.
        let passes = [vec![1.0, 2.0, 9.0], vec![5.0, 8.0, 5.0]];
        let case = Case::new("hit", "ns", &[EVANESCE, EVANESCE_TTL], &passes, |ns| *ns);
        let verdict = extra(&case, EVANESCE_TTL, Target::must(3.5)).unwrap();
        assert_eq!((verdict.median, verdict.must_met), (4.0, Some(false)));
        assert!(extra(&case, EVANESCE_TICKS, Target::TOLD).is_none());
    }
}
