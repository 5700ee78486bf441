//! One fill and one load for all who ask; leases; what goes wrong in loaders.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use evanesce_tier::{Error, Load};
use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore};

use crate::{
    Place, Text, catch_up,
    common::{server::Server, until},
    read, rows, say,
};

rows! {
    "one fill for 50 who ask": one_fill, "many at once": many, "leader of a fill cancelled while 20 wait": cancelled, "a load, and its value for others": load,
    "loader fails": fails, "loader panics while 20 wait": panics, "leader of a load cancelled while 20 wait": load_cancelled,
    "lease: 4 tiers of 50 callers": lease, "lease, delete during the load": deleted, "lease, put during the load": put,
    "lease, its holder dies": holder_dies, "lease too short": too_short,
    "a load that was stored and deleted": stored_and_deleted, "lease, its holder is not polled": not_polled,
}

const MINUTE: Duration = Duration::from_secs(60);
const LEASED: Load = Load::new().ttl(MINUTE).lease(MINUTE);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Polls it once.
async fn begin<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    poll_fn(|cx| Poll::Ready(pin!(&mut *future).poll(cx))).await
}

async fn one_fill(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    say::<()>(&mut place.foreign().await, "SET t:a 1").await;
    catch_up(&tier).await;
    let fills = tier.stats().fills;
    // All ask before this thread goes on to the next of them.
    for value in join_all((0..50).map(|_| read(&tier, "a"))).await {
        assert_eq!(value.as_deref(), Some("1"));
    }
    assert_eq!(tier.stats().fills, fills + 1);
    "1 fill".into()
}

async fn many(place: Arc<Place>) -> String {
    const KEYS: u64 = 5_000;
    let server = Server::start(place.kind, &[]).await;
    let tier = place.options_at(&server.url()).connect().await.unwrap();
    say::<()>(&mut server.foreign().await, "SET t:4321 1").await;
    catch_up(&tier).await;
    let fills = tier.stats().fills;
    let keys: Vec<_> = (0..KEYS).map(|key| key.to_string()).collect();
    // Nobody is answered: so all is asked that is asked at a time.
    server.freeze(true);
    let mut asking = Box::pin(tier.get_many(keys.iter().map(String::as_str)));
    let (mut at_once, mut polls) = (0, 0);
    while polls < 50 {
        assert!(begin(&mut asking).await.is_pending());
        tokio::task::yield_now().await;
        polls = if tier.stats().fills > fills + at_once { 0 } else { polls + 1 };
        at_once = tier.stats().fills - fills;
    }
    // A heartbeat waits behind them: they must not be so many that it is late.
    assert!((100..=1_000).contains(&at_once), "{at_once} requests at once");
    server.freeze(false);
    let values = asking.await.unwrap();
    let found: Vec<_> = (0..).zip(&values).filter(|(_, value)| value.is_some()).collect();
    assert_eq!((values.len() as u64, tier.stats().fills - fills), (KEYS, KEYS));
    assert!(matches!(found[..], [(4321, _)]));
    format!("{at_once} at a time")
}

async fn cancelled(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    say::<()>(&mut place.foreign().await, "SET t:a 1").await;
    for _ in 0..50 {
        tier.forget_local("a");
        let mut leader = Box::pin(read(&tier, "a"));
        // (Ready, if the answer is faster than this thread.)
        _ = begin(&mut leader).await;
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let tier = tier.clone();
                tokio::spawn(async move { read(&tier, "a").await })
            })
            .collect();
        drop(leader);
        for asker in waiting {
            assert_eq!(asker.await.unwrap().as_deref(), Some("1"));
        }
    }
    "all served".into()
}

/// A loader that says how often it was called.
#[allow(clippy::unnecessary_wraps, reason = "what a loader returns")]
fn counted(calls: &AtomicU32) -> Result<String, Failure> {
    Ok(format!("load {}", calls.fetch_add(1, Ordering::SeqCst) + 1))
}

async fn load(place: Arc<Place>) -> String {
    let (one, other) = (place.tier().await, place.tier().await);
    let calls = AtomicU32::new(0);
    for tier in [&one, &other, &one] {
        let value = tier.get_or_load("a", Load::new().ttl(MINUTE), async |_| counted(&calls)).await;
        assert_eq!(*value.unwrap(), "load 1");
    }
    let left: i64 = say(&mut place.foreign().await, "PTTL t:a").await;
    assert!((1..=60_000).contains(&left));
    // Absence that is kept is over with the load.
    let tier = place.options().negative_ttl(MINUTE).connect().await.unwrap();
    assert_eq!(read(&tier, "b").await, None);
    let key_seen = tier
        .get_or_load("b", Load::new(), async |key: &str| Ok::<_, Failure>(key.to_owned()))
        .await;
    assert_eq!(*key_seen.unwrap(), "b");
    assert_eq!(read(&tier, "b").await.as_deref(), Some("b"));
    "1 load".into()
}

async fn fails(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    for load in [Load::new(), LEASED] {
        let failed =
            tier.get_or_load("a", load, async |_| Err::<String, Failure>("no route".into())).await;
        let Err(Error::Load { key, source }) = failed else { panic!("{failed:?}") };
        assert_eq!((key.as_str(), source.to_string().as_str()), ("t:a", "no route"));
    }
    let mut foreign = place.foreign().await;
    let is_given_back = async || say::<i64>(&mut foreign, "EXISTS t:a lease:{t:a}").await == 0;
    until("the lease", is_given_back).await;
    let value = tier.get_or_load("a", LEASED, async |_| Ok::<_, Failure>("1".to_owned())).await;
    assert_eq!(*value.unwrap(), "1");
    "an error, nothing kept".into()
}

/// Twenty who ask for the key, each with a loader that counts.
fn twenty(
    tier: &Text,
    load: Load,
    calls: &Arc<AtomicU32>,
) -> Vec<tokio::task::JoinHandle<Arc<String>>> {
    (0..20)
        .map(|_| {
            let (tier, calls) = (tier.clone(), Arc::clone(calls));
            tokio::spawn(async move {
                tier.get_or_load("a", load, async |_| counted(&calls)).await.unwrap()
            })
        })
        .collect()
}

async fn panics(place: Arc<Place>) -> String {
    for load in [Load::new(), LEASED] {
        let tier = place.tier().await;
        tier.delete("a").await.unwrap();
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let leader = tokio::spawn({
            let (tier, entered, go_on) = (tier.clone(), Arc::clone(&entered), Arc::clone(&go_on));
            async move {
                let loader = async |_| {
                    entered.notify_one();
                    go_on.notified().await;
                    panic!("in the loader");
                    #[allow(unreachable_code, reason = "the type of a loader")]
                    Ok::<String, Failure>(String::new())
                };
                tier.get_or_load("a", load, loader).await
            }
        });
        entered.notified().await;
        let calls = Arc::new(AtomicU32::new(0));
        let waiting = twenty(&tier, load, &calls);
        go_on.notify_one();
        assert!(leader.await.unwrap_err().is_panic());
        for asker in waiting {
            assert_eq!(*asker.await.unwrap(), "load 1");
        }
    }
    "all served by 1 load".into()
}

async fn load_cancelled(place: Arc<Place>) -> String {
    for load in [Load::new(), LEASED] {
        let tier = place.tier().await;
        tier.delete("a").await.unwrap();
        let entered = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (tier, entered) = (tier.clone(), Arc::clone(&entered));
            async move {
                let loader = async |_| {
                    entered.notify_one();
                    std::future::pending::<Result<String, Failure>>().await
                };
                tier.get_or_load("a", load, loader).await
            }
        });
        entered.notified().await;
        let calls = Arc::new(AtomicU32::new(0));
        let waiting = twenty(&tier, load, &calls);
        leader.abort();
        for asker in waiting {
            assert_eq!(*asker.await.unwrap(), "load 1");
        }
    }
    "all served by 1 load".into()
}

async fn lease(place: Arc<Place>) -> String {
    let mut callers = Vec::new();
    let calls = Arc::new(AtomicU32::new(0));
    let gate = Arc::new(Semaphore::new(0));
    for _ in 0..4 {
        let tier = place.tier().await;
        for _ in 0..50 {
            let (tier, calls, gate) = (tier.clone(), Arc::clone(&calls), Arc::clone(&gate));
            callers.push(tokio::spawn(async move {
                let loader = async |_| {
                    // It does not end before all have asked.
                    let _permit = gate.acquire().await;
                    counted(&calls)
                };
                tier.get_or_load("a", LEASED, loader).await.unwrap()
            }));
        }
    }
    let mut foreign = place.foreign().await;
    until("the lease", async || say::<bool>(&mut foreign, "EXISTS lease:{t:a}").await).await;
    gate.add_permits(1);
    for caller in callers {
        assert_eq!(*caller.await.unwrap(), "load 1");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(!say::<bool>(&mut foreign, "EXISTS lease:{t:a}").await);
    "1 load for 200".into()
}

/// Begins a load of the key `a` with a lease; calls `meanwhile` while the first loader runs; and returns what it comes to and how often
/// a loader was called.
async fn overtaken(
    tier: &Text,
    load: Load,
    meanwhile: impl AsyncFnOnce(),
) -> (Result<Arc<String>, Error>, u32) {
    let (entered, go_on) = (Notify::new(), Notify::new());
    let calls = AtomicU32::new(0);
    let loading = tier.get_or_load("a", load, async |_| {
        let made = counted(&calls);
        if calls.load(Ordering::SeqCst) == 1 {
            entered.notify_one();
            go_on.notified().await;
        }
        made
    });
    let meanwhile = async {
        entered.notified().await;
        meanwhile().await;
        go_on.notify_one();
    };
    let (loaded, ()) = tokio::join!(loading, meanwhile);
    (loaded, calls.load(Ordering::SeqCst))
}

async fn deleted(place: Arc<Place>) -> String {
    let (tier, other) = (place.tier().await, place.tier().await);
    // What was loaded before the delete is not stored, and it is loaded again.
    let (loaded, calls) =
        overtaken(&tier, LEASED, async || assert!(!other.delete("a").await.unwrap())).await;
    assert_eq!((loaded.unwrap().as_str(), calls), ("load 2", 2));
    assert_eq!(read(&other, "a").await.as_deref(), Some("load 2"));
    "refused, loaded again".into()
}

async fn put(place: Arc<Place>) -> String {
    let (tier, other) = (place.tier().await, place.tier().await);
    for load in [LEASED, Load::new()] {
        other.delete("a").await.unwrap();
        catch_up(&tier).await;
        let (loaded, calls) =
            overtaken(&tier, load, async || other.put("a", &"newer".into(), None).await.unwrap())
                .await;
        assert_eq!((loaded.unwrap().as_str(), calls), ("newer", 1));
        assert_eq!(read(&tier, "a").await.as_deref(), Some("newer"));
    }
    "the put stays".into()
}

async fn holder_dies(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    // A process that has the lease, and will never say a word again.
    say::<()>(&mut foreign, "SET lease:{t:a} another PX 100").await;
    let calls = AtomicU32::new(0);
    let value = tier.get_or_load("a", LEASED, async |_| counted(&calls)).await.unwrap();
    assert_eq!(*value, "load 1");
    assert!(tier.stats().lease_waits > 0);
    "loaded at the lease's end".into()
}

async fn too_short(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    let calls = AtomicU32::new(0);
    let load = Load::new().lease(Duration::from_millis(5));
    let loader = async |_| {
        let mut foreign = foreign.clone();
        let is_over = async || !say::<bool>(&mut foreign, "EXISTS lease:{t:a}").await;
        until("the end of the lease", is_over).await;
        counted(&calls)
    };
    let lost = tier.get_or_load("a", load, loader).await;
    assert!(matches!(lost, Err(Error::LeaseLost { loads: 3, .. })), "{lost:?}");
    assert!(!say::<bool>(&mut foreign, "EXISTS t:a").await);
    "an error, nothing stored".into()
}

async fn stored_and_deleted(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    let loads = async |value: &'static str| {
        let loader = async |_| Ok::<_, Failure>(value.to_owned());
        tier.get_or_load("a", Load::new(), loader).await.unwrap()
    };
    // A caller whose value is in the server, and that does not know it yet: nobody polls it.
    let first = 'first: loop {
        say::<()>(&mut foreign, "DEL t:a").await;
        let mut first = Box::pin(loads("first"));
        while begin(&mut first).await.is_pending() {
            catch_up(&tier).await;
            if say::<bool>(&mut foreign, "EXISTS t:a").await {
                break 'first first;
            }
        }
    };
    say::<()>(&mut foreign, "DEL t:a").await;
    catch_up(&tier).await;
    // This one came after the end of that value.
    let mut second = Box::pin(loads("second"));
    for _ in 0..100 {
        if let Poll::Ready(value) = begin(&mut second).await {
            assert_eq!(*value, "second");
            return "loaded again".into();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(*first.await, "first");
    assert_eq!(*second.await, "second");
    "loaded again".into()
}

async fn not_polled(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    let calls = AtomicU32::new(0);
    let load = Load::new().lease(Duration::from_millis(100));
    let mut leader =
        Box::pin(tier.get_or_load("a", load, async |_| {
            std::future::pending::<Result<String, Failure>>().await
        }));
    until("the lease", async || {
        assert!(begin(&mut leader).await.is_pending());
        say::<bool>(&mut foreign, "EXISTS lease:{t:a}").await
    })
    .await;
    // What it loads is for nothing by the end of its lease: nobody waits for longer.
    let waiter = tier.get_or_load("a", load, async |_| counted(&calls));
    let value = tokio::time::timeout(Duration::from_secs(20), waiter).await.expect("a hang");
    assert_eq!(*value.unwrap(), "load 1");
    drop(leader);
    "loaded at the lease's end".into()
}
