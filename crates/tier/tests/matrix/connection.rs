//! Connections that end, silently or not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use evanesce_tier::{Error, State};

use crate::{
    Place, Text, catch_up,
    common::{
        proxy::{Proxy, SwappingProxy},
        server::Server,
        until,
    },
    read, rows, say,
};

rows! {
    "all connections killed, 40 times under load": killed, "restart": restart, "half-open": half_open,
    "a proxy that takes another connection": swapped,
    "server down with max_stale": max_stale, "server down without": no_max_stale, "replica promoted": promoted,
    "the last handle dropped": dropped,
    "requests more impatient than the heartbeat": impatient, "answers slower than the heartbeat": slow,
    "requests get lost, pushes come": deaf, "why it is lost": why,
}

async fn connected(tier: &Text) {
    until("a connection", async || tier.state() == State::Connected).await;
}

/// Ends all connections of a kind but that of `foreign`.
async fn kill_all(foreign: &mut redis::aio::MultiplexedConnection) {
    say::<i64>(foreign, "CLIENT KILL TYPE normal SKIPME yes").await;
}

async fn killed(place: Arc<Place>) -> String {
    const KEYS: usize = 20;
    const KILLS: u64 = 40;
    let mut foreign = place.foreign().await;
    for key in 0..KEYS {
        say::<()>(&mut foreign, &format!("SET t:{key} start")).await;
    }
    let tiers = [place.tier().await, place.tier().await];
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = tiers
        .iter()
        .cycle()
        .take(6)
        .map(|tier| {
            let (tier, is_over) = (tier.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                    // An error is an answer, too: none is served instead.
                    if let Err(error) = tier.get(&fastrand::usize(..KEYS).to_string()).await {
                        assert!(error.is_connection(), "{error}");
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            })
        })
        .collect();
    for round in 1..=KILLS {
        kill_all(&mut foreign).await;
        // In the gap, where nobody can be told.
        for key in 0..KEYS {
            say::<()>(&mut foreign, &format!("SET t:{key} {round}")).await;
        }
        for tier in &tiers {
            // The server has ended the old connection: what it answers now comes by a new one.
            until("an answer", async || {
                tier.forget_local("catch up");
                tier.get("catch up").await.is_ok()
            })
            .await;
            assert!(tier.stats().losses >= round);
            for key in 0..KEYS {
                let found = read(tier, &key.to_string()).await;
                assert_eq!(found, Some(round.to_string()), "kill {round}");
            }
        }
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    "0 stale".into()
}

async fn restart(place: Arc<Place>) -> String {
    let mut server = Server::start(place.kind, &[]).await;
    let tier = place.options_at(&server.url()).connect().await.unwrap();
    tier.put("a", &"1".into(), None).await.unwrap();
    read(&tier, "a").await;
    server.start_again().await;
    until("the loss", async || tier.stats().losses == 1).await;
    connected(&tier).await;
    assert_eq!(read(&tier, "a").await, None);
    say::<()>(&mut server.foreign().await, "SET t:a 2").await;
    catch_up(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("2"));
    "0 stale".into()
}

async fn half_open(place: Arc<Place>) -> String {
    let (interval, timeout) = (Duration::from_millis(100), Duration::from_millis(100));
    let proxy = Proxy::start(place.server.port()).await;
    let options = place.options_at(&proxy.url()).heartbeat(interval, timeout);
    let tier = options.request_timeout(Duration::from_secs(1)).connect().await.unwrap();
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1").await;
    catch_up(&tier).await;
    read(&tier, "a").await;
    assert!(tier.hit("a").is_some());
    proxy.swallow(true);
    let start = Instant::now();
    say::<()>(&mut foreign, "SET t:a 2").await;
    until("the heartbeat", async || tier.hit("a").is_none()).await;
    let stale_for = start.elapsed();
    assert!(matches!(tier.get("a").await, Err(Error::Lost { .. })));
    proxy.swallow(false);
    connected(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("2"));
    // A bound of the machine's scheduling on top: it decides nothing about the protocol.
    assert!(stale_for < interval + timeout + Duration::from_secs(5), "{stale_for:?}");
    format!("noticed after {} ms (200 and the machine's)", stale_for.as_millis())
}

async fn swapped(place: Arc<Place>) -> String {
    if !place.is_opt_in() {
        return "not noticed: no fill asks".into();
    }
    let proxy = SwappingProxy::start(place.server.port()).await;
    let tier = place.options_at(&proxy.url()).connect().await.unwrap();
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1").await;
    catch_up(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
    proxy.swap();
    // The next fill finds that nobody will be told.
    let mut keys = 0..;
    until("a fill behind it", async || {
        let key = format!("b{}", keys.next().unwrap_or(0));
        tier.get(&key).await.is_err()
    })
    .await;
    say::<()>(&mut foreign, "SET t:a 2").await;
    until("the loss", async || tier.stats().losses == 1).await;
    connected(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("2"));
    "lost at the next fill".into()
}

async fn max_stale(place: Arc<Place>) -> String {
    let mut server = Server::start(place.kind, &[]).await;
    let time = Duration::from_millis(300);
    let options =
        place.options_at(&server.url()).max_stale(time).negative_ttl(Duration::from_secs(9));
    let tier = options.connect().await.unwrap();
    tier.put("a", &"1".into(), None).await.unwrap();
    catch_up(&tier).await;
    read(&tier, "a").await;
    assert_eq!(read(&tier, "none").await, None);
    server.stop();
    until("the loss", async || tier.state() != State::Connected).await;
    let State::Lost { since } = tier.state() else { panic!("connected to nothing") };
    let mut answered = 0;
    until("the end of max_stale", async || match tier.get("a").await {
        Ok(value) => {
            assert_eq!(value.as_deref().map(String::as_str), Some("1"));
            answered += 1;
            false
        }
        Err(Error::Lost { ago, .. }) => {
            assert!(ago >= time);
            true
        }
        Err(error) => panic!("{error}"),
    })
    .await;
    assert!(since.elapsed() >= time && tier.stats().stale_hits >= answered);
    // What is not kept is an error from the first moment on.
    assert!(matches!(tier.get("b").await, Err(Error::Lost { .. })));
    assert!(matches!(tier.put("a", &"2".into(), None).await, Err(Error::Lost { .. })));
    assert!(tier.hit("a").is_none() && tier.get("none").await.is_err());
    server.start_again().await;
    connected(&tier).await;
    assert_eq!(read(&tier, "a").await, None);
    "served, then an error".into()
}

async fn no_max_stale(place: Arc<Place>) -> String {
    let mut server = Server::start(place.kind, &[]).await;
    let tier = place.options_at(&server.url()).connect().await.unwrap();
    tier.put("a", &"1".into(), None).await.unwrap();
    read(&tier, "a").await;
    server.stop();
    until("the loss", async || tier.state() != State::Connected).await;
    assert!(matches!(tier.get("a").await, Err(Error::Lost { .. })));
    assert!(tier.hit("a").is_none() && tier.view("a", String::len).is_none());
    "an error at once".into()
}

async fn promoted(place: Arc<Place>) -> String {
    let replica = Server::start(place.kind, &[]).await;
    let mut to_replica = replica.foreign().await;
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1").await;
    say::<()>(&mut to_replica, &format!("REPLICAOF 127.0.0.1 {}", place.server.port())).await;
    let is_synced = async || {
        say::<String>(&mut to_replica, "INFO replication").await.contains("link_status:up")
    };
    until("the replica", is_synced).await;
    let tier = place.options_at(&replica.url()).connect().await.unwrap();
    until("the value", async || read(&tier, "a").await.as_deref() == Some("1")).await;
    // A write of the primary comes through the replica.
    say::<()>(&mut foreign, "SET t:a 2").await;
    until("the write", async || say::<String>(&mut to_replica, "GET t:a").await == "2").await;
    catch_up(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("2"));
    say::<()>(&mut to_replica, "REPLICAOF NO ONE").await;
    say::<()>(&mut to_replica, "SET t:a 3").await;
    catch_up(&tier).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("3"));
    tier.put("a", &"4".into(), None).await.unwrap();
    assert_eq!(read(&tier, "a").await.as_deref(), Some("4"));
    "0 stale".into()
}

async fn dropped(place: Arc<Place>) -> String {
    let server = Server::start(place.kind, &[]).await;
    let tier = place.options_at(&server.url()).connect().await.unwrap();
    let mut foreign = server.foreign().await;
    let clients = async |foreign: &mut redis::aio::MultiplexedConnection| {
        say::<String>(foreign, "CLIENT LIST TYPE normal").await.lines().count()
    };
    until("two clients", async || clients(&mut foreign).await == 2).await;
    let another = tier.clone();
    drop(tier);
    another.put("a", &"1".into(), None).await.unwrap();
    drop(another);
    until("the end of the connection", async || clients(&mut foreign).await == 1).await;
    "closed".into()
}

async fn impatient(place: Arc<Place>) -> String {
    let options = place.options().heartbeat(Duration::from_millis(10), Duration::from_secs(60));
    let tier = options.request_timeout(Duration::from_millis(100)).connect().await.unwrap();
    let mut foreign = place.foreign().await;
    // Nobody has an answer for longer than a request waits, and each is heard in the end.
    say::<()>(&mut foreign, "CLIENT PAUSE 1000 ALL").await;
    assert!(matches!(tier.get("a").await, Err(Error::Timeout { .. })));
    until("the end of the pause", async || tier.get("a").await.is_ok()).await;
    assert_eq!(tier.stats().losses, 0);
    "the connection stays".into()
}

async fn slow(place: Arc<Place>) -> String {
    let mut foreign = place.foreign().await;
    // It takes some seconds to come.
    let value = "v".repeat(600_000);
    redis::cmd("SET").arg("t:a").arg(&value).query_async::<()>(&mut foreign).await.unwrap();
    let proxy = Proxy::start(place.server.port()).await;
    let (interval, timeout) = (Duration::from_millis(10), Duration::from_secs(1));
    let options = place.options_at(&proxy.url()).heartbeat(interval, timeout);
    let tier = options.connect().await.unwrap();
    catch_up(&tier).await;
    proxy.be_slow();
    let start = Instant::now();
    assert_eq!(tier.get("a").await.unwrap().unwrap().as_str(), value);
    assert!(start.elapsed() > 2 * timeout, "too fast to say anything");
    assert_eq!(tier.stats().losses, 0);
    "what comes is a sign of life".into()
}

async fn deaf(place: Arc<Place>) -> String {
    if place.is_opt_in() {
        return "no read, no push".into();
    }
    let proxy = Proxy::start(place.server.port()).await;
    let (interval, timeout) = (Duration::from_millis(10), Duration::from_millis(100));
    let options = place.options_at(&proxy.url()).heartbeat(interval, timeout);
    let tier = options.request_timeout(Duration::from_millis(300)).connect().await.unwrap();
    let mut foreign = place.foreign().await;
    proxy.swallow_requests(true);
    let pushes = tier.stats().pushes;
    until("the loss", async || {
        say::<()>(&mut foreign, "SET t:a 1").await;
        tier.stats().losses > 0
    })
    .await;
    assert!(tier.stats().pushes > pushes);
    proxy.swallow_requests(false);
    connected(&tier).await;
    until("an answer", async || tier.get("a").await.is_ok()).await;
    "lost, and back".into()
}

async fn why(place: Arc<Place>) -> String {
    let mut server = Server::start(place.kind, &[]).await;
    let mut foreign = server.foreign().await;
    say::<()>(&mut foreign, "ACL SETUSER ada on >geheim ~* &* +@all").await;
    let url = format!("redis://ada:geheim@127.0.0.1:{}/", server.port());
    let tier = place.options_at(&url).connect().await.unwrap();
    say::<()>(&mut foreign, "ACL SETUSER ada resetpass >other").await;
    kill_all(&mut foreign).await;
    until("the refusal", async || {
        let Err(Error::Lost { why: Some(why), .. }) = tier.get("a").await else { return false };
        matches!(*why, Error::Refused { .. })
    })
    .await;
    let error = tier.put("a", &"1".into(), None).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("refuses the user or the password"), "{source}");
    assert!(error.to_string().contains(&source), "{error}");
    let all = format!("{error} {error:?}");
    assert!(all.contains("ada@") && !all.contains("geheim"), "{all}");
    server.stop();
    until("that it is gone", async || {
        let Err(Error::Lost { why: Some(why), .. }) = tier.get("a").await else { return false };
        matches!(*why, Error::Unreachable { .. })
    })
    .await;
    "the last refusal, without the password".into()
}
