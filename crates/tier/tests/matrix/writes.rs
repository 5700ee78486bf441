//! Whatever another client does to a key is seen; and one's own writes at once.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use redis::aio::MultiplexedConnection;

use crate::{Place, Text, catch_up, common::until, read, rows, say};

rows! {
    "SET": set, "DEL": del, "UNLINK": unlink, "GETDEL": getdel, "APPEND": append, "INCR": incr, "MULTI": multi, "Lua": lua,
    "RENAME": rename, "COPY": copy, "MOVE": moved, "FLUSHALL": flushall, "FLUSHDB ASYNC": flushdb,
    "SWAPDB (not announced)": swapdb, "the same value again": same, "absence, then SET": absence,
    "push before a later answer": order, "own writes": own, "a fill after an own write": own_fill, "own write, cancelled": cancelled,
    "two tiers": two_tiers, "forget": forget, "get_many": many,
}

/// A tier that keeps `t:a`, and another client.
async fn kept(place: &Place) -> (Text, MultiplexedConnection) {
    let (tier, mut foreign) = (place.tier().await, place.foreign().await);
    say::<()>(&mut foreign, "SET t:a 1").await;
    catch_up(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
    assert!(tier.hit("a").is_some());
    (tier, foreign)
}

/// The value that is kept is gone once the tier has heard of the write, and the next is this.
async fn changes(place: &Place, command: &str, then: Option<&str>) -> String {
    let (tier, mut foreign) = kept(place).await;
    say::<redis::Value>(&mut foreign, command).await;
    sees(&tier, "a", then).await
}

async fn sees(tier: &Text, key: &str, then: Option<&str>) -> String {
    catch_up(tier).await;
    assert!(tier.hit(key).is_none());
    assert_eq!(read(tier, key).await.as_deref(), then);
    "0 stale".into()
}

async fn set(place: Arc<Place>) -> String {
    changes(&place, "SET t:a 2", Some("2")).await
}

async fn del(place: Arc<Place>) -> String {
    changes(&place, "DEL t:a", None).await
}

async fn unlink(place: Arc<Place>) -> String {
    changes(&place, "UNLINK t:a", None).await
}

async fn getdel(place: Arc<Place>) -> String {
    changes(&place, "GETDEL t:a", None).await
}

async fn append(place: Arc<Place>) -> String {
    changes(&place, "APPEND t:a 2", Some("12")).await
}

async fn incr(place: Arc<Place>) -> String {
    changes(&place, "INCR t:a", Some("2")).await
}

async fn lua(place: Arc<Place>) -> String {
    changes(&place, "EVAL redis.call('SET',KEYS[1],'2') 1 t:a", Some("2")).await
}

async fn rename(place: Arc<Place>) -> String {
    let (tier, mut foreign) = kept(&place).await;
    say::<()>(&mut foreign, "SET t:b 2").await;
    assert_eq!(read(&tier, "b").await.as_deref(), Some("2"));
    say::<()>(&mut foreign, "RENAME t:b t:a").await;
    sees(&tier, "b", None).await;
    sees(&tier, "a", Some("2")).await
}

async fn copy(place: Arc<Place>) -> String {
    let (tier, mut foreign) = kept(&place).await;
    say::<()>(&mut foreign, "SET other 2").await;
    say::<()>(&mut foreign, "COPY other t:a REPLACE").await;
    sees(&tier, "a", Some("2")).await
}

async fn moved(place: Arc<Place>) -> String {
    changes(&place, "MOVE t:a 1", None).await
}

async fn flushall(place: Arc<Place>) -> String {
    let said = changes(&place, "FLUSHALL", None).await;
    let (tier, mut foreign) = kept(&place).await;
    let before = tier.stats().flushes;
    say::<()>(&mut foreign, "FLUSHALL").await;
    catch_up(&tier).await;
    assert_eq!(tier.stats().flushes, before + 1);
    said
}

async fn flushdb(place: Arc<Place>) -> String {
    changes(&place, "FLUSHDB ASYNC", None).await
}

async fn same(place: Arc<Place>) -> String {
    changes(&place, "SET t:a 1", Some("1")).await
}

async fn multi(place: Arc<Place>) -> String {
    let (tier, mut foreign) = kept(&place).await;
    let mut both = redis::pipe();
    both.atomic().cmd("SET").arg("other").arg("2").cmd("SET").arg("t:a").arg("2");
    both.exec_async(&mut foreign).await.unwrap();
    sees(&tier, "a", Some("2")).await
}

/// The exception of the guarantee: no server says it, and the near TTL ends it.
async fn swapdb(place: Arc<Place>) -> String {
    let near_ttl = Duration::from_millis(300);
    let tier = place.options().near_ttl(near_ttl).connect().await.unwrap();
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1").await;
    catch_up(&tier).await;
    read(&tier, "a").await;
    say::<()>(&mut foreign, "SWAPDB 0 1").await;
    catch_up(&tier).await;
    let was_announced = tier.hit("a").is_none();
    until("the near TTL", async || read(&tier, "a").await.is_none()).await;
    say::<()>(&mut foreign, "FLUSHALL").await;
    if was_announced { "announced".into() } else { "stale until the near TTL".into() }
}

async fn absence(place: Arc<Place>) -> String {
    let tier = place.options().negative_ttl(Duration::from_secs(60)).connect().await.unwrap();
    assert_eq!((read(&tier, "a").await, read(&tier, "a").await), (None, None));
    assert_eq!((tier.stats().fills, tier.stats().hits), (1, 1), "absence was not kept");
    say::<()>(&mut place.foreign().await, "SET t:a 1").await;
    catch_up(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
    "0 stale".into()
}

/// Another client sets first one key, then another. Who has read the new value of the second, does not see the old one of the
/// first: its push came before that answer, on the same connection.
async fn order(place: Arc<Place>) -> String {
    const ROUNDS: u32 = 500;
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    let mut out_of_order = 0;
    for round in 0..ROUNDS {
        say::<()>(&mut foreign, &format!("SET t:a {round}")).await;
        read(&tier, "a").await;
        let newer = round + ROUNDS;
        say::<()>(&mut foreign, &format!("SET t:a {newer}")).await;
        say::<()>(&mut foreign, &format!("SET t:b {newer}")).await;
        tier.forget_local("b");
        assert_eq!(read(&tier, "b").await, Some(newer.to_string()));
        out_of_order += u32::from(tier.hit("a").is_some());
    }
    assert_eq!(out_of_order, 0, "an answer overtook a push {out_of_order} times of {ROUNDS}");
    format!("0 of {ROUNDS} overtaken")
}

async fn own(place: Arc<Place>) -> String {
    const ROUNDS: u32 = 300;
    let tier = place.tier().await;
    // Others read all the time, so that fills go on at each write.
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let tier = tier.clone();
            tokio::spawn(async move {
                loop {
                    read(&tier, "a").await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..ROUNDS {
        tier.put("a", &round.to_string(), None).await.unwrap();
        assert_eq!(read(&tier, "a").await, Some(round.to_string()), "not its own write");
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(tier.touch("a", Duration::from_secs(60)).await.unwrap());
    assert!(tier.delete("a").await.unwrap());
    assert_eq!(read(&tier, "a").await, None);
    assert!(!tier.delete("a").await.unwrap());
    assert!(!tier.touch("a", Duration::from_secs(60)).await.unwrap());
    format!("0 of {ROUNDS} stale")
}

/// The push of one's own write does not refuse the fill that comes next. (With prefixes the server says it later, and may.)
async fn own_fill(place: Arc<Place>) -> String {
    const ROUNDS: u32 = 200;
    let tier = place.tier().await;
    let mut refused = 0;
    for round in 0..ROUNDS {
        tier.put("a", &round.to_string(), None).await.unwrap();
        assert_eq!(read(&tier, "a").await, Some(round.to_string()));
        refused += u32::from(tier.hit("a").is_none());
    }
    if place.is_opt_in() {
        assert_eq!((refused, tier.stats().refused_fills), (0, 0));
    }
    format!("{refused} of {ROUNDS} refused")
}

/// A caller goes while its write is under way: it is the server's push that removes what is kept.
async fn cancelled(place: Arc<Place>) -> String {
    const ROUNDS: u32 = 50;
    let (tier, mut foreign) = kept(&place).await;
    let mut done = 0;
    for round in 0..ROUNDS {
        read(&tier, "a").await;
        let mine = format!("mine {round}");
        let writing = tier.put("a", &mine, None);
        let mut writing = Box::pin(writing);
        // Polled once: the request is with the connection. Then it goes when the server has it.
        poll_fn(|cx| Poll::Ready(_ = writing.as_mut().poll(cx))).await;
        let is_sent =
            async || say::<Option<String>>(&mut foreign, "GET t:a").await.as_ref() == Some(&mine);
        until("the write", is_sent).await;
        drop(writing);
        done += 1;
        catch_up(&tier).await;
        assert_eq!(read(&tier, "a").await.as_ref(), Some(&mine), "its own write was not announced");
        // And the next write of another.
        let theirs = format!("theirs {round}");
        redis::cmd("SET").arg("t:a").arg(&theirs).exec_async(&mut foreign).await.unwrap();
        catch_up(&tier).await;
        assert_eq!(
            read(&tier, "a").await.as_ref(),
            Some(&theirs),
            "another's write was not announced"
        );
    }
    format!("0 of {done} stale")
}

async fn two_tiers(place: Arc<Place>) -> String {
    let (one, other) = (place.tier().await, place.tier().await);
    one.put("a", &"1".into(), None).await.unwrap();
    assert_eq!(read(&other, "a").await.as_deref(), Some("1"));
    assert_eq!(read(&one, "a").await.as_deref(), Some("1"));
    other.put("a", &"2".into(), Duration::from_secs(60)).await.unwrap();
    sees(&one, "a", Some("2")).await;
    assert!(one.delete("a").await.unwrap());
    sees(&other, "a", None).await
}

async fn forget(place: Arc<Place>) -> String {
    let (tier, _foreign) = kept(&place).await;
    tier.forget_local("a");
    assert!(tier.hit("a").is_none());
    read(&tier, "a").await;
    assert_eq!(tier.view("a", String::len), Some(1));
    tier.forget_all_local();
    assert!(tier.hit("a").is_none() && tier.view("a", String::len).is_none());
    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
    "forgotten".into()
}

async fn many(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    for n in 0..100 {
        tier.put(&format!("{n}"), &n.to_string(), None).await.unwrap();
    }
    catch_up(&tier).await;
    let before = tier.stats();
    let keys: Vec<_> = (0..200).map(|n| format!("{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for _ in 0..2 {
        let found = tier.get_many(keys.iter().copied()).await.unwrap();
        for (n, value) in found.iter().enumerate() {
            assert_eq!(value.as_deref(), (n < 100).then(|| n.to_string()).as_ref());
        }
    }
    // Once kept they are not asked for again; absence is kept on demand alone.
    let stats = tier.stats();
    assert_eq!((stats.hits - before.hits, stats.fills - before.fills), (100, 300));
    "200 keys, in order".into()
}
