//! B1: how many requests a map with a bound answers.
//!
//! One thread sends a stream once through a read-through cache that begins empty: get, and on a miss insert.
//! These are counts; time plays no part but in what moka puts off.

use std::collections::HashSet;

use super::traces::read::{ABSENT, SCARAB, SPRITE, Trace, UNKNOWN, WEB, folder};
use crate::keys::{key, ranks};
use crate::maps::{EVANESCE, LRU, MOKA, MOKA_PROMPT, QUICK_CACHE, bounded};
use crate::results::{Against, Case, Measured, Target};
use crate::told::{Results, Run, Stop, interleave};

const ENTRANTS: [&str; 5] = [EVANESCE, QUICK_CACHE, MOKA, MOKA_PROMPT, LRU];
const TRACES: [Trace; 3] = [SPRITE, WEB, SCARAB];
/// The room, as a share of the distinct keys of a stream.
const SHARES: [(f64, &str); 2] = [(0.01, "1 %"), (0.1, "10 %")];
const CELLS: usize = (TRACES.len() + 1) * SHARES.len();

const ZIPF_KEYS: usize = 100_000;
const ZIPF_REQUESTS: usize = 200_000;
const ZIPF_EXPONENT: f64 = 0.95;

/// The mean of S3-FIFO by simulation, whose ghost remembers whole keys.
const S3_FIFO: f64 = 54.3;

pub(super) fn measure(run: &Run) -> Result<Results, Stop> {
    let rounds = run.pick(3, 1, 1);
    let most = run.pick(usize::MAX, usize::MAX, 2_000);
    let mut measured = Measured::default();
    measured.parameter("rounds", rounds);
    measured.note(format!(
        "By one thread; each map begins empty. Zipf is a stream of {ZIPF_REQUESTS} requests of exponent \
         {ZIPF_EXPONENT} over {ZIPF_KEYS} keys; its distinct keys are those that it asks for, and each round draws \
         another. The traces are the same in all rounds, so there quartiles tell how much a map varies by itself. \
         moka makes room some inserts later, and holds more meanwhile, which is much of a small room; `{MOKA_PROMPT}` \
         is told to do it after each insert. lru is not synchronised. S3-FIFO is a simulation, whose Zipf stream was drawn by another \
         generator.",
    ));
    run.expect(CELLS * rounds * ENTRANTS.len());
    for trace in TRACES {
        let requests = match folder(run) {
            Some(folder) => trace.read(folder)?.ok_or(ABSENT),
            None => Err(UNKNOWN),
        };
        match requests {
            Ok(mut requests) => {
                requests.truncate(most);
                cells(run, &mut measured, trace.file, trace.what, &[requests], rounds)?;
            }
            Err(why) => measured.skip(trace.file, why),
        }
    }
    let drawn = |seed| -> Vec<u64> {
        let ranks = ranks(ZIPF_KEYS, ZIPF_EXPONENT, seed);
        ranks.take(most.min(ZIPF_REQUESTS)).map(key).collect()
    };
    let streams: Vec<Vec<u64>> = (0..rounds as u64).map(drawn).collect();
    cells(run, &mut measured, "Zipf", "drawn", &streams, rounds)?;
    // The mean of fewer would be another figure under the same name.
    if measured.cases.len() == CELLS {
        mean(&mut measured);
    }
    Ok(vec![("B1", measured)])
}

/// One stream (or one a round) with each share of room.
fn cells(
    run: &Run,
    measured: &mut Measured,
    name: &str,
    what: &str,
    streams: &[Vec<u64>],
    rounds: usize,
) -> Result<(), Stop> {
    let distinct: Vec<usize> = streams.iter().map(|requests| count_distinct(requests)).collect();
    measured
        .parameter(name, format!("{what}, {} requests for {} keys", streams[0].len(), distinct[0]));
    for (share, percent) in SHARES {
        let name = format!("{name}, {percent}");
        let passes = interleave(run, &name, &ENTRANTS, rounds, |round, who| {
            let (requests, keys) =
                (&streams[round % streams.len()], distinct[round % streams.len()]);
            let room = ((keys as f64 * share).round() as usize).max(1);
            let hits = bounded(ENTRANTS[who], room).request(requests);
            Ok(Some(hits as f64 / requests.len() as f64 * 100.0))
        })?;
        let case = Case::new(name, "%", &ENTRANTS, &passes, |hits| *hits);
        let told = (EVANESCE, Against::Peer(QUICK_CACHE), Target::TOLD.at_least());
        measured.add(case, &[told]);
    }
    Ok(())
}

fn count_distinct(requests: &[u64]) -> usize {
    requests.iter().collect::<HashSet<_>>().len()
}

/// The mean of all cells, round by round.
fn mean(measured: &mut Measured) {
    let name = format!("mean of the {CELLS}");
    let mean_of = |entrant: &&str| -> Vec<f64> {
        let cells: Vec<&[f64]> = (measured.cases.iter())
            .filter_map(|case| Some(case.of(entrant)?.rounds.as_slice()))
            .collect();
        let rounds = cells.iter().map(|rounds| rounds.len()).min().unwrap_or(0);
        let sum = |round: usize| cells.iter().map(|rounds| rounds[round]).sum::<f64>();
        (0..rounds).map(|round| sum(round) / cells.len() as f64).collect()
    };
    let means: Vec<Vec<f64>> = ENTRANTS.iter().map(mean_of).collect();
    let aim = Target::aim(S3_FIFO).at_least();
    let verdict = aim.judge(&name, EVANESCE, "S3-FIFO, simulated", "%", &means[0]);
    let case = Case::new(name, "%", &ENTRANTS, &means, |mean| *mean);
    let must = (EVANESCE, Against::Peer(QUICK_CACHE), Target::must(1.0).at_least());
    measured.add(case, &[must]);
    measured.verdicts.push(verdict);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // halves are exact
    fn mean_is_of_all_cells_within_a_round() {
        let mut measured = Measured::default();
        for cell in 0..CELLS {
            let passes = ENTRANTS.map(|_| vec![cell as f64, 2.0 * cell as f64]);
            measured.add(Case::new(cell.to_string(), "%", &ENTRANTS, &passes, |hits| *hits), &[]);
        }
        mean(&mut measured);
        let case = measured.cases.last().expect("the mean was added");
        assert_eq!(case.of(LRU).expect("it took part").rounds, [3.5, 7.0]);
        let verdict = measured.verdicts.last().expect("the aim was judged");
        assert_eq!((verdict.median, verdict.aim_met), (5.25, Some(false)));
    }
}
