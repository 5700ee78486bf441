//! Three nodes, and slots that move between them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use evanesce_tier::{Error, Load, State, Tier};

use crate::{
    Place,
    cluster::{HOUR, catch_up, connected, options},
    common::{cluster::Node, until},
    read, rows, say,
};

rows! {
    "cluster: slot moved with keys, 20 times under load": moved, "cluster: a slot half moved (ASK)": half_moved,
    "cluster: MOVED alone tells of a move": told_by_moved, "cluster: empty slot moved, absence": empty_moved,
    "cluster: slot moved at once (MIGRATESLOTS)": moved_at_once, "cluster: replica promoted": promoted,
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

/// Valkey 9 and later hand a slot with all of its keys over at one instant.
async fn moved_at_once(place: Arc<Place>) -> String {
    let (options, cluster) = options(&place).await;
    let deaf = options.heartbeat(HOUR, HOUR).connect().await.unwrap();
    let tier = connected(&place).await.0;
    let tag = cluster.tag(0, 5).await;
    let slot = cluster.slot(&tag).await;
    let (value, none) = (format!("{tag}value"), format!("{tag}none"));
    deaf.put(&value, &"1".into(), None).await.unwrap();
    catch_up(&tier, cluster).await;
    for tier in [&tier, &deaf] {
        assert_eq!(read(tier, &value).await.as_deref(), Some("1"));
        assert_eq!(read(tier, &none).await, None);
    }
    let mut source = cluster.nodes[0].foreign().await;
    let mut moving = redis::cmd("CLUSTER");
    moving.arg("MIGRATESLOTS").arg("SLOTSRANGE").arg(slot).arg(slot).arg("NODE");
    let moving = moving.arg(&cluster.nodes[1].id).query_async::<String>(&mut source).await;
    if let Err(error) = moving {
        assert!(error.to_string().to_lowercase().contains("unknown"), "{error}");
        return "there is no such command".into();
    }
    let mut target = cluster.nodes[1].foreign().await;
    until("the new node has the slot", async || {
        let set = redis::cmd("SET").arg(format!("t:{value}")).arg("2").to_owned();
        set.query_async::<()>(&mut target).await.is_ok()
    })
    .await;
    say::<()>(&mut target, &format!("SET t:{none} 3")).await;
    for (key, new) in [(&value, "2"), (&none, "3")] {
        until("the new value", async || read(&tier, key).await.as_deref() == Some(new)).await;
    }
    catch_up(&deaf, cluster).await;
    let told = if deaf.hit(&value).is_none() { "announced" } else { "not announced" };
    cluster.agreed().await;
    cluster.move_slot(slot, 1, 0).await;
    format!("0 stale from the next heartbeat on; the keys' move is {told}")
}

async fn promoted(place: Arc<Place>) -> String {
    let cluster = place.spare().await;
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
    // A replica says who the primaries are, too.
    let by_replica = place.with_options(Tier::cluster([replica.url()])).connect().await.unwrap();
    assert_eq!(read(&by_replica, &key).await.as_deref(), Some("1"));
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
