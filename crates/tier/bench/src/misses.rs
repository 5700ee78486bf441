//! The first read of a key, beside a bare GET.

use std::{hint::black_box, time::Instant};

use redis::pipe;

use crate::{
    Run,
    clients::{
        CacheAio, Client, Failure, FredMoka, MokaByHand, OptIn, PREFIX, RustisGet, bare, bytes,
    },
    passes::{Entrant, Pass, interleaved},
    report::{Must, micros, table},
};

/// Reads in one pass.
const READS: usize = 200;
const VALUE: [u8; 100] = [b'v'; 100];

pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let passes = if run.smoke { 3 } else { 61 };
    let mut foreign = bare(&run.url).await?;
    for pass in 0..=passes {
        let mut sets = pipe();
        for key in keys_of(pass) {
            sets.set(key, &VALUE[..]).ignore();
        }
        sets.exec_async(&mut foreign).await?;
    }
    let mut entrants = vec![
        bare_get(&run.url).await?,
        client::<OptIn>(&run.url).await?,
        client::<CacheAio>(&run.url).await?,
        client::<MokaByHand>(&run.url).await?,
        client::<FredMoka>(&run.url).await?,
        client::<RustisGet>(&run.url).await?,
    ];
    interleaved(&mut entrants, passes).await?;
    let (bare, ours) = (entrants[0].median(), entrants[1].median());
    println!(
        "\n## A miss\n\nThe first read of a key, one after another. Medians of passes of {READS} that take turns.\n"
    );
    let rows: Vec<_> = (entrants.iter())
        .map(|one| vec![one.name.clone(), micros(one.median()), micros(one.median() - bare)])
        .collect();
    table(&["", "us", "over a bare GET"], &rows);
    run.musts.push(Must::time(
        "a miss takes at most 15 us more than a bare GET",
        ours - bare <= 15_000.0,
        format!("{} us", micros(ours - bare)),
    ));
    Ok(())
}

/// The keys that a pass reads, and none before it.
fn keys_of(pass: usize) -> impl Iterator<Item = String> {
    (pass * READS..(pass + 1) * READS).map(|n| format!("{PREFIX}miss:{n:06}"))
}

async fn bare_get(url: &str) -> Result<Entrant, Failure> {
    let connection = bare(url).await?;
    Ok(Entrant::new("a bare GET, redis-rs", move |pass| -> Pass {
        let mut connection = connection.clone();
        Box::pin(async move {
            let keys: Vec<_> = keys_of(pass).collect();
            let start = Instant::now();
            for key in &keys {
                black_box(bytes(&mut connection, key).await?.ok_or("a key is not there")?);
            }
            Ok(start.elapsed().as_nanos() as f64 / READS as f64)
        })
    }))
}

async fn client<C: Client>(url: &str) -> Result<Entrant, Failure> {
    let client = C::connect(url).await?;
    Ok(Entrant::new(C::NAME, move |pass| -> Pass {
        let mut client = client.clone();
        Box::pin(async move {
            let keys: Vec<_> = keys_of(pass).collect();
            let start = Instant::now();
            for key in &keys {
                black_box(client.get(key).await?.ok_or("a key is not there")?);
            }
            Ok(start.elapsed().as_nanos() as f64 / READS as f64)
        })
    }))
}
