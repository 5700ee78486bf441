//! Three nodes: pushes and flushes of each, a node that goes and comes, leases.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
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
    "cluster: node killed and back": killed,
    "cluster: user and password for all nodes": login, "cluster: lease": lease, "cluster: the last handle dropped": dropped, "cluster: bad input": bad_input,
}

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Options for a tier of the place's cluster, whose nodes are empty, and that cluster.
pub(crate) async fn options(place: &Place) -> (TierBuilder<str, String, Bytes>, &Cluster) {
    let cluster = place.cluster().await;
    cluster.agreed().await;
    cluster.flush().await;
    // All topology is heard of soon; only rows that are about it lose a connection by it.
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_secs(30));
    let options = place.with_options(Tier::cluster(cluster.urls()));
    (options.heartbeat(interval, timeout).negative_ttl(HOUR), cluster)
}

pub(crate) async fn connected(place: &Place) -> (Text, &Cluster) {
    let (options, cluster) = options(place).await;
    (options.connect().await.unwrap(), cluster)
}

/// Returns when the tier has heard all that the nodes have said before this call.
pub(crate) async fn catch_up(tier: &Text, cluster: &Cluster) {
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

async fn login(place: Arc<Place>) -> String {
    let (_, cluster) = options(&place).await;
    for node in &cluster.nodes {
        node.say::<()>("ACL SETUSER ada on >secret ~* &* +@all").await;
    }
    let url = |login| format!("redis://{login}@127.0.0.1:{}/", cluster.nodes[0].port);
    let tier = place.with_options(Tier::cluster([url("ada:secret")])).connect().await.unwrap();
    for node in &cluster.nodes {
        let clients: String = node.say("CLIENT LIST TYPE normal").await;
        let is_hers = |client: &str| client.contains("flags=t") && client.contains("user=ada");
        assert!(clients.lines().any(is_hers), "{clients}");
    }
    assert_eq!(tier.state(), State::Connected);
    // It is right at the first node alone.
    cluster.nodes[1].say::<()>("ACL SETUSER ada >other <secret").await;
    for login in ["ada:wrong", "ada:secret"] {
        let error = place.with_options(Tier::cluster([url(login)])).connect().await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    "used, or refused".into()
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
