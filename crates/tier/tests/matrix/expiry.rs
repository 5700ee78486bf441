//! Time: what ends in the server ends here.

use std::{error::Error, sync::Arc, thread, time::Duration};

use evanesce_tier::{Codec, Tier};

use crate::{Place, catch_up, common::until, read, rows, runtimes, say};

rows! {
    "expiry": expiry, "PEXPIRE shortened": shortened, "near TTL": near_ttl, "early refresh": early, "refresh and a push": early_and_push,
    "maxmemory": maxmemory, "a tracking table of 50 keys": small_table, "max_entries": max_entries,
    "a codec slower than the time left": slow_codec, "early refresh and an absence": early_absence,
}

async fn expiry(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    let (mut rounds, mut time) = (0, 40);
    while rounds < 5 {
        say::<()>(&mut foreign, &format!("SET t:a 1 PX {time}")).await;
        catch_up(&tier).await;
        match read(&tier, "a").await.as_deref() {
            Some("1") => rounds += 1,
            // Over before a busy machine came to read it.
            None if time < 10_000 => time *= 2,
            other => panic!("{other:?}"),
        }
        until("the end in the server", async || say::<i64>(&mut foreign, "PTTL t:a").await == -2)
            .await;
        // The deadline here is not later, whether or not the server has said a word.
        assert_eq!(read(&tier, "a").await, None);
    }
    "not a moment longer".into()
}

async fn shortened(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1 PX 100000").await;
    read(&tier, "a").await;
    say::<()>(&mut foreign, "PEXPIRE t:a 20").await;
    catch_up(&tier).await;
    assert!(tier.hit("a").is_none());
    until("the end in the server", async || say::<i64>(&mut foreign, "PTTL t:a").await == -2).await;
    assert_eq!(read(&tier, "a").await, None);
    "0 stale".into()
}

async fn near_ttl(place: Arc<Place>) -> String {
    let tier = place.options().near_ttl(Duration::from_millis(20)).connect().await.unwrap();
    say::<()>(&mut place.foreign().await, "SET t:a 1").await;
    catch_up(&tier).await;
    let fills = tier.stats().fills;
    read(&tier, "a").await;
    until("the near TTL", async || tier.hit("a").is_none()).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
    assert_eq!(tier.stats().fills, fills + 2);
    "asked again".into()
}

async fn early(place: Arc<Place>) -> String {
    let (near, early) = (Duration::from_millis(400), Duration::from_millis(350));
    let options = place.options().near_ttl(near).jitter(0.0).refresh_early(early);
    let tier = options.connect().await.unwrap();
    say::<()>(&mut place.foreign().await, "SET t:a 1").await;
    catch_up(&tier).await;
    read(&tier, "a").await;
    let fills = tier.stats().fills;
    until("a refresh", async || {
        assert!(tier.hit("a").is_some(), "it was gone before it was refreshed");
        read(&tier, "a").await;
        tier.stats().fills > fills + 2
    })
    .await;
    "never absent".into()
}

async fn early_and_push(place: Arc<Place>) -> String {
    const ROUNDS: u64 = 200;
    // Due after a millisecond: one of the next hits has it refreshed, while another client writes.
    let near = Duration::from_secs(60);
    let options =
        place.options().near_ttl(near).jitter(0.0).refresh_early(Duration::from_millis(59_999));
    let tier = options.connect().await.unwrap();
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 0").await;
    for round in 1..=ROUNDS {
        catch_up(&tier).await;
        read(&tier, "a").await;
        let fills = tier.stats().fills;
        until("a refresh", async || {
            read(&tier, "a").await;
            tier.stats().fills > fills
        })
        .await;
        say::<()>(&mut foreign, &format!("SET t:a {round}")).await;
        catch_up(&tier).await;
        assert_eq!(read(&tier, "a").await, Some(round.to_string()));
    }
    format!("0 of {ROUNDS} stale")
}

async fn maxmemory(place: Arc<Place>) -> String {
    const KEYS: usize = 300;
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    for key in 0..KEYS {
        tier.put(&key.to_string(), &"x".repeat(10_000), None).await.unwrap();
        read(&tier, &key.to_string()).await;
    }
    say::<()>(&mut foreign, "CONFIG SET maxmemory-policy allkeys-lru").await;
    say::<()>(&mut foreign, "CONFIG SET maxmemory 3000000").await;
    // A write lets the server make room.
    until("an eviction", async || {
        _ = redis::cmd("SET").arg("other").arg("1").exec_async(&mut foreign).await;
        say::<usize>(&mut foreign, "DBSIZE").await < KEYS
    })
    .await;
    say::<()>(&mut foreign, "CONFIG SET maxmemory 0").await;
    catch_up(&tier).await;
    let mut gone = 0;
    for key in 0..KEYS {
        let is_there = say::<bool>(&mut foreign, &format!("EXISTS t:{key}")).await;
        assert_eq!(read(&tier, &key.to_string()).await.is_some(), is_there);
        gone += usize::from(!is_there);
    }
    assert!(gone > 0);
    "0 stale".into()
}

async fn small_table(place: Arc<Place>) -> String {
    const KEYS: usize = 300;
    if !place.is_opt_in() {
        return "no table".into();
    }
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    let before = say::<Vec<String>>(&mut foreign, "CONFIG GET tracking-table-max-keys").await;
    say::<()>(&mut foreign, "CONFIG SET tracking-table-max-keys 50").await;
    for key in 0..KEYS {
        say::<()>(&mut foreign, &format!("SET t:{key} 1")).await;
        read(&tier, &key.to_string()).await;
    }
    // The server gives keys up in its own time, and says so.
    until("the table", async || {
        let info: String = say(&mut foreign, "INFO stats").await;
        let keys = info.lines().find_map(|line| line.strip_prefix("tracking_total_keys:"));
        keys.unwrap().trim().parse::<usize>().unwrap() <= 60
    })
    .await;
    catch_up(&tier).await;
    let kept = (0..KEYS).filter(|key| tier.hit(&key.to_string()).is_some()).count();
    assert!(kept <= 61, "{kept} are kept of which the server knows nothing");
    for key in 0..KEYS {
        say::<()>(&mut foreign, &format!("SET t:{key} 2")).await;
    }
    catch_up(&tier).await;
    for key in 0..KEYS {
        assert_eq!(read(&tier, &key.to_string()).await.as_deref(), Some("2"));
    }
    say::<()>(&mut foreign, &format!("CONFIG SET tracking-table-max-keys {}", before[1])).await;
    "0 stale".into()
}

async fn max_entries(place: Arc<Place>) -> String {
    let tier = place.options().max_entries(100).connect().await.unwrap();
    for key in 0..1_000 {
        tier.put(&key.to_string(), &key.to_string(), None).await.unwrap();
        assert_eq!(read(&tier, &key.to_string()).await, Some(key.to_string()));
    }
    let entries = tier.stats().entries;
    assert!(entries <= 101, "{entries} entries");
    "at most 100".into()
}

/// Text that takes until its key has ended in the server to be read.
struct Slow(String);

impl Codec<String> for Slow {
    fn encode(&self, value: &String) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(value.clone().into_bytes())
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<String, Box<dyn Error + Send + Sync>> {
        let mut foreign = redis::Client::open(&*self.0)?.get_connection()?;
        while redis::cmd("PTTL").arg("t:a").query::<i64>(&mut foreign)? != -2 {
            thread::yield_now();
        }
        Ok(String::from_utf8(bytes)?)
    }
}

async fn slow_codec(place: Arc<Place>) -> String {
    let (url, tracking) = (place.server.url(), place.tracking.clone());
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1 PX 2000").await;
    // On one thread, so that no push comes between the codec and the look.
    runtimes::elsewhere(move || {
        runtimes::one_thread().block_on(async {
            let options = Tier::<str, String>::builder(&*url).codec(Slow(url.clone()));
            let tier = options.prefix("t:").tracking(tracking).connect().await.unwrap();
            assert_eq!(tier.get("a").await.unwrap().as_deref().map(String::as_str), Some("1"));
            assert!(tier.hit("a").is_none(), "kept beyond its end in the server");
        });
    })
    .await;
    "not kept".into()
}

async fn early_absence(place: Arc<Place>) -> String {
    let (absent, early) = (Duration::from_secs(50), Duration::from_secs(60));
    let options = place.options().negative_ttl(absent).refresh_early(early);
    let tier = options.connect().await.unwrap();
    for _ in 0..20 {
        assert_eq!(read(&tier, "none").await, None);
        // The fill of another key, behind what the read may have begun.
        assert_eq!(read(&tier, &fastrand::u64(..).to_string()).await, None);
    }
    assert_eq!(tier.stats().fills, 21);
    "not read again".into()
}
