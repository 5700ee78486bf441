//! Three nodes: pushes and flushes of each, slots that move, nodes that go and come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use evanesce_tier::{Bytes, Error, Load, State, Tier, TierBuilder};
use futures_util::future::join_all;

use crate::{
    Place, Text,
    common::{
        cluster::{Cluster, Node},
        until,
    },
    read, rows, say,
};

rows! {
    "cluster: writes at three nodes": writes, "cluster: FLUSHALL at one node": flushall,
    "cluster: slot moved with keys, 20 times under load": moved, "cluster: a slot half moved (ASK)": half_moved,
    "cluster: MOVED alone tells of a move": told_by_moved, "cluster: empty slot moved, absence": empty_moved,
    "cluster: node killed and back": killed, "cluster: replica promoted": promoted,
    "cluster: lease": lease, "cluster: the last handle dropped": dropped, "cluster: bad input": bad_input,
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Options for a tier of the place's cluster, whose nodes are empty, and that cluster.
async fn options(place: &Place) -> (TierBuilder<str, String, Bytes>, &Cluster) {
    let cluster = place.cluster.get_or_init(|| Cluster::start(place.kind)).await;
    cluster.agreed().await;
    cluster.flush().await;
    // All topology is heard of soon; only rows that are about it lose a connection by it.
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_secs(30));
    let options = place.with_options(Tier::cluster(cluster.urls()));
    (options.heartbeat(interval, timeout).negative_ttl(HOUR), cluster)
}

async fn connected(place: &Place) -> (Text, &Cluster) {
    let (options, cluster) = options(place).await;
    (options.connect().await.unwrap(), cluster)
}

/// Returns when the tier has heard all that the nodes have said before this call.
async fn catch_up(tier: &Text, cluster: &Cluster) {
    for node in 0..3 {
        let key = format!("{}catch up", cluster.tag(node, 7).await);
        tier.forget_local(&key);
        tier.get(&key).await.unwrap();
    }
}

/// A key of each node.
async fn keys(cluster: &Cluster) -> [String; 3] {
    [cluster.tag(0, 0).await, cluster.tag(1, 0).await, cluster.tag(2, 0).await]
}

async fn writes(place: Arc<Place>) -> String {
    let (tier, cluster) = connected(&place).await;
    for (node, key) in keys(cluster).await.iter().enumerate() {
        let mut foreign = cluster.nodes[node].foreign().await;
        say::<()>(&mut foreign, &format!("SET t:{key} 1")).await;
        catch_up(&tier, cluster).await;
        assert_eq!(read(&tier, key).await.as_deref(), Some("1"));
        assert!(tier.hit(key).is_some());
        say::<()>(&mut foreign, &format!("SET t:{key} 2")).await;
        catch_up(&tier, cluster).await;
        assert!(tier.hit(key).is_none());
        assert_eq!(read(&tier, key).await.as_deref(), Some("2"));
        // One's own.
        tier.put(key, &"3".into(), HOUR).await.unwrap();
        assert_eq!(read(&tier, key).await.as_deref(), Some("3"));
        assert!(tier.touch(key, HOUR).await.unwrap());
        assert!(tier.delete(key).await.unwrap());
        assert_eq!(read(&tier, key).await, None);
        tier.put(key, &node.to_string(), None).await.unwrap();
    }
    let keys = keys(cluster).await;
    let all = tier.get_many(keys.iter().map(String::as_str)).await.unwrap();
    let all: Vec<_> = all.into_iter().map(|value| value.unwrap().to_string()).collect();
    assert_eq!(all, ["0", "1", "2"]);
    "0 stale".into()
}

async fn flushall(place: Arc<Place>) -> String {
    let (tier, cluster) = connected(&place).await;
    let keys = keys(cluster).await;
    for key in &keys {
        tier.put(key, &"1".into(), None).await.unwrap();
    }
    for flushed in 0..3 {
        catch_up(&tier, cluster).await;
        for key in &keys[flushed..] {
            assert_eq!(read(&tier, key).await.as_deref(), Some("1"));
        }
        cluster.nodes[flushed].say::<()>("FLUSHALL").await;
        catch_up(&tier, cluster).await;
        assert!(tier.hit(&keys[flushed]).is_none(), "of node {flushed}");
        assert_eq!(read(&tier, &keys[flushed]).await, None);
        for key in &keys[flushed + 1..] {
            assert!(tier.hit(key).is_some(), "of another node than {flushed}");
        }
    }
    "0 stale, the others kept".into()
}

const KEYS: usize = 20;

async fn moved(place: Arc<Place>) -> String {
    let (options, cluster) = options(&place).await;
    let writing = options.connect().await.unwrap();
    let tiers = [connected(&place).await.0, connected(&place).await.0];
    let tag = cluster.tag(0, 1).await;
    let slot = cluster.slot(&tag).await;
    let written: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    for key in 0..KEYS {
        writing.put(&format!("{tag}{key}"), &"0".into(), None).await.unwrap();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for tier in tiers.iter().cycle().take(4) {
        let (tier, tag, is_over) = (tier.clone(), tag.clone(), Arc::clone(&is_over));
        tasks.push(tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let key = format!("{tag}{}", fastrand::usize(..KEYS));
                tier.get(&key).await.unwrap().expect("a key is never away");
                tokio::task::yield_now().await;
            }
        }));
    }
    for n in 0..2 {
        let (tier, tag, is_over) = (writing.clone(), tag.clone(), Arc::clone(&is_over));
        let written = Arc::clone(&written);
        tasks.push(tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let key = fastrand::usize(..KEYS / 2) * 2 + n;
                let version = written[key].fetch_add(1, Ordering::SeqCst) + 1;
                let name = format!("{tag}{key}");
                tier.put(&name, &version.to_string(), None).await.unwrap();
                // One's own write is seen at once.
                assert_eq!(read(&tier, &name).await, Some(version.to_string()));
            }
        }));
    }
    for n in 0..20 {
        let (from, to) = if n % 2 == 0 { (0, 1) } else { (1, 0) };
        cluster.move_slot(slot, from, to).await;
        tokio::time::sleep(Duration::from_millis(20)).await; // load on the slot where it is now
    }
    is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let mut stale = Vec::new();
    for tier in &tiers {
        catch_up(tier, cluster).await;
        let mut count = 0;
        for (key, version) in written.iter().enumerate() {
            let found = read(tier, &format!("{tag}{key}")).await;
            count += usize::from(found != Some(version.load(Ordering::SeqCst).to_string()));
        }
        stale.push(count);
    }
    assert_eq!(stale, [0, 0], "stale for good");
    let writes: u64 = written.iter().map(|version| version.load(Ordering::SeqCst)).sum();
    assert!(writes > 0);
    "0 stale".into()
}

async fn half_moved(place: Arc<Place>) -> String {
    let (tier, cluster) = connected(&place).await;
    let tag = cluster.tag(0, 2).await;
    let slot = cluster.slot(&tag).await;
    let [here, there, none] = ["here", "there", "none"].map(|key| format!("{tag}{key}"));
    tier.put(&there, &"1".into(), None).await.unwrap();
    assert_eq!(read(&tier, &there).await.as_deref(), Some("1"));
    cluster.open_slot(slot, 0, 1).await;
    cluster.move_keys(slot, 0, 1).await;
    catch_up(&tier, cluster).await;
    // It was moved, and that is announced as a change.
    assert!(tier.hit(&there).is_none());
    assert_eq!(read(&tier, &there).await.as_deref(), Some("1"));
    assert_eq!(read(&tier, &none).await, None);
    assert!(tier.hit(&there).is_none(), "kept of a node that has not the slot");
    let fills = tier.stats().fills;
    assert_eq!(read(&tier, &none).await, None);
    assert_eq!(tier.stats().fills, fills + 1, "an absence kept of a node that has not the slot");
    tier.put(&here, &"2".into(), HOUR).await.unwrap();
    tier.put(&there, &"3".into(), HOUR).await.unwrap();
    assert_eq!(read(&tier, &here).await.as_deref(), Some("2"));
    assert_eq!(read(&tier, &there).await.as_deref(), Some("3"));
    assert!(tier.touch(&there, HOUR).await.unwrap());
    assert!(tier.delete(&there).await.unwrap() && !tier.delete(&there).await.unwrap());
    let load = async |_| Ok::<_, Error>("4".to_owned());
    let loaded = tier.get_or_load(&there, Load::new(), load).await.unwrap();
    assert_eq!(loaded.as_str(), "4");
    cluster.close_slot(slot, 1).await;
    for (key, value) in [(&here, "2"), (&there, "4")] {
        assert_eq!(read(&tier, key).await.as_deref(), Some(value));
    }
    cluster.move_slot(slot, 1, 0).await;
    "served, not kept".into()
}

async fn told_by_moved(place: Arc<Place>) -> String {
    let (options, cluster) = options(&place).await;
    let tier = options.heartbeat(HOUR, HOUR).connect().await.unwrap();
    let tag = cluster.tag(0, 3).await;
    let slot = cluster.slot(&tag).await;
    let (value, none) = (format!("{tag}value"), format!("{tag}none"));
    tier.put(&value, &"1".into(), None).await.unwrap();
    read(&tier, &value).await;
    assert_eq!(read(&tier, &none).await, None);
    cluster.move_slot(slot, 0, 1).await;
    catch_up(&tier, cluster).await;
    let changes = tier.stats().topology_changes;
    // Its move was announced. Who asks for it is told where it is, and hears of that node what that has.
    assert_eq!(read(&tier, &value).await.as_deref(), Some("1"));
    assert!(tier.stats().topology_changes > changes);
    let mut foreign = cluster.nodes[1].foreign().await;
    say::<()>(&mut foreign, &format!("SET t:{none} 2")).await;
    assert_eq!(read(&tier, &none).await.as_deref(), Some("2"), "an absence of before the move");
    // From now on it is kept, and the new node announces its changes.
    assert!(tier.hit(&value).is_some());
    say::<()>(&mut foreign, &format!("SET t:{value} 3")).await;
    catch_up(&tier, cluster).await;
    assert_eq!(read(&tier, &value).await.as_deref(), Some("3"));
    cluster.move_slot(slot, 1, 0).await;
    "0 stale".into()
}

async fn empty_moved(place: Arc<Place>) -> String {
    let (tier, cluster) = connected(&place).await;
    let (tag, elsewhere) = (cluster.tag(0, 4).await, cluster.tag(2, 4).await);
    let slot = cluster.slot(&tag).await;
    let value = format!("{elsewhere}value");
    tier.put(&value, &"1".into(), None).await.unwrap();
    catch_up(&tier, cluster).await;
    read(&tier, &value).await;
    for absent in [&tag, &elsewhere] {
        let fills = tier.stats().fills;
        assert_eq!((read(&tier, absent).await, read(&tier, absent).await), (None, None));
        assert_eq!(tier.stats().fills, fills + 1, "an absence is kept");
    }
    cluster.move_slot(slot, 0, 1).await;
    cluster.nodes[1].say::<()>(&format!("SET t:{tag} 2")).await;
    // Nobody announces it. It is heard of the next time that a node is asked for its view.
    until("the value", async || read(&tier, &tag).await.is_some()).await;
    let fills = tier.stats().fills;
    assert!(tier.hit(&value).is_some(), "a value of a node that has lost nothing");
    assert_eq!(read(&tier, &elsewhere).await, None);
    assert_eq!(tier.stats().fills, fills + 1, "an absence of another topology");
    cluster.move_slot(slot, 1, 0).await;
    "0 stale from the next heartbeat on".into()
}

async fn killed(place: Arc<Place>) -> String {
    let (tier, cluster) = connected(&place).await;
    let keys = keys(cluster).await;
    for key in &keys {
        tier.put(key, &"1".into(), None).await.unwrap();
    }
    catch_up(&tier, cluster).await;
    for key in &keys {
        read(&tier, key).await;
    }
    let mut server = cluster.nodes[1].server.lock().await;
    server.stop();
    until("the loss", async || tier.state() != State::Connected).await;
    let error = tier.get(&keys[1]).await.unwrap_err();
    assert!(error.is_connection() && tier.hit(&keys[1]).is_none(), "{error}");
    for key in [&keys[0], &keys[2]] {
        assert!(tier.hit(key).is_some(), "of a node that is there");
        tier.put(key, &"2".into(), None).await.unwrap();
        assert_eq!(read(&tier, key).await.as_deref(), Some("2"));
    }
    server.start_again().await;
    drop(server);
    until("a connection", async || tier.state() == State::Connected).await;
    cluster.agreed().await;
    until("the end of what the node says of itself", async || tier.get(&keys[1]).await.is_ok())
        .await;
    assert_eq!(read(&tier, &keys[1]).await, None);
    cluster.nodes[1].say::<()>(&format!("SET t:{} 3", keys[1])).await;
    catch_up(&tier, cluster).await;
    assert_eq!(read(&tier, &keys[1]).await.as_deref(), Some("3"));
    "errors for its keys alone, 0 stale".into()
}

async fn promoted(place: Arc<Place>) -> String {
    // One of its own, as it is another cluster afterwards.
    let cluster = Cluster::start(place.kind).await;
    let replica = Node::start(place.kind).await;
    cluster.nodes[0].meet(&replica).await;
    let mut to_replica = replica.foreign().await;
    replica.knows_all().await;
    say::<()>(&mut to_replica, &format!("CLUSTER REPLICATE {}", cluster.nodes[0].id)).await;
    let is_synced = async || {
        say::<String>(&mut to_replica, "INFO replication").await.contains("link_status:up")
    };
    until("the replica", is_synced).await;
    let options = place.with_options(Tier::cluster(cluster.urls())).negative_ttl(HOUR);
    let options = options.heartbeat(Duration::from_millis(50), Duration::from_secs(30));
    let tier = options.connect().await.unwrap();
    let (key, none) = (cluster.tag(0, 0).await, cluster.tag(0, 1).await);
    tier.put(&key, &"1".into(), None).await.unwrap();
    assert_eq!(read(&tier, &key).await.as_deref(), Some("1"));
    assert_eq!(read(&tier, &none).await, None);
    cluster.nodes[0].server.lock().await.stop();
    say::<()>(&mut to_replica, "CLUSTER FAILOVER TAKEOVER").await;
    say::<()>(&mut to_replica, &format!("SET t:{key} 2")).await;
    say::<()>(&mut to_replica, &format!("SET t:{none} 3")).await;
    for (key, value) in [(&key, "2"), (&none, "3")] {
        until("the new primary's value", async || match tier.get(key).await {
            Ok(found) => {
                assert_eq!(found.as_deref().map(String::as_str), Some(value), "stale");
                true
            }
            Err(error) => !error.is_connection(),
        })
        .await;
    }
    until("a connection", async || tier.state() == State::Connected).await;
    say::<()>(&mut to_replica, &format!("SET t:{key} 4")).await;
    tier.forget_local(&none);
    read(&tier, &none).await;
    assert_eq!(read(&tier, &key).await.as_deref(), Some("4"));
    "0 stale".into()
}

async fn lease(place: Arc<Place>) -> String {
    let (one, cluster) = connected(&place).await;
    let other = connected(&place).await.0;
    let load = Load::new().ttl(HOUR).lease(HOUR);
    let tag = cluster.tag(1, 5).await;
    // The lease of the last two has a name of its own, as such a key is no tag.
    for key in [format!("{tag}a"), format!("{tag}b"), "a}b".into(), "{}".into()] {
        let calls = AtomicU32::new(0);
        let loader = async |_: &str| {
            calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await; // the others come meanwhile
            Ok::<_, Error>("loaded".to_owned())
        };
        let asking = (0..40).map(|n| [&one, &other][n % 2].get_or_load(&key, load, loader));
        for value in join_all(asking).await {
            assert_eq!(value.unwrap().as_str(), "loaded");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{key}");
        assert!(one.delete(&key).await.unwrap());
    }
    "1 load each".into()
}

async fn dropped(place: Arc<Place>) -> String {
    let (tier, cluster) = connected(&place).await;
    // Those of other rows end when they end, and so do those by which commands are given here.
    let name = "CLIENT LIST TYPE normal";
    let count = async |node: &Node| {
        let clients = node.say::<String>(name).await;
        clients.lines().filter(|client| client.contains("flags=t")).count()
    };
    for node in &cluster.nodes {
        until("one that tracks", async || count(node).await == 1).await;
    }
    let another = tier.clone();
    drop(tier);
    read(&another, &cluster.tag(0, 6).await).await;
    drop(another);
    for node in &cluster.nodes {
        until("the end of the connection", async || count(node).await == 0).await;
    }
    "closed".into()
}

async fn bad_input(place: Arc<Place>) -> String {
    let (_, cluster) = options(&place).await;
    let error_of = async |urls: &[String]| {
        let options = Tier::<str, String>::cluster(urls.to_vec()).codec(Bytes);
        options.connect().await.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let single = error_of(&[place.server.url()]).await;
    assert!(single.contains("no node of a cluster"), "{single}");
    let none = error_of(&[]).await;
    assert!(none.contains("`nodes` is none"), "{none}");
    for bad in ["redis+unix:///tmp/socket".into(), format!("{}3", cluster.nodes[0].url())] {
        let error = error_of(std::slice::from_ref(&bad)).await;
        assert!(error.contains("no address of a server"), "{bad}: {error}");
    }
    // The first that answers is enough.
    let gone = format!("redis://127.0.0.1:{}/", crate::common::server::free_port());
    assert!(error_of(std::slice::from_ref(&gone)).await.contains("cannot reach"));
    assert_eq!(error_of(&[gone, cluster.nodes[2].url()]).await, "");
    // A tier of one server says what it stands before.
    let one = place.options_at(&cluster.nodes[0].url()).connect().await.unwrap();
    let error = one.get(&cluster.tag(1, 0).await).await.unwrap_err();
    assert!(matches!(error, Error::Redirected { is_moving: false, .. }), "{error}");
    "clear errors".into()
}
