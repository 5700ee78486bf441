//! What is wrong is said, by its name, and nothing of it is kept.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use evanesce_tier::{Error, Json, Load, State, Tier, Tracking};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    Place, catch_up,
    common::{
        server::{Server, free_port},
        until,
    },
    read, rows, say,
};

rows! {
    "wrong type": wrong_type, "garbage for the codec": garbage, "value too large": too_large, "big values": big_values,
    "wrong password": wrong_password, "no RESP3": no_resp3, "unreachable": unreachable, "options out of range": options,
    "a server that refuses a write": refused_write, "a user with few rights": few_rights,
}

async fn wrong_type(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "RPUSH t:a 1").await;
    for _ in 0..2 {
        let Err(Error::WrongType { key, words }) = tier.get("a").await else { panic!("no error") };
        assert!(key == "t:a" && words.starts_with("WRONGTYPE"), "{words}");
    }
    assert_eq!((tier.stats().fills, tier.stats().entries), (2, 0));
    say::<()>(&mut foreign, "DEL t:a").await;
    say::<()>(&mut foreign, "SET t:a 1").await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
    "an error, nothing kept".into()
}

async fn garbage(place: Arc<Place>) -> String {
    let url = place.server.url();
    let tier =
        Tier::<str, u32>::builder(url).codec(Json).prefix("t:").tracking(place.tracking.clone());
    let tier = tier.connect().await.unwrap();
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a {").await;
    for _ in 0..2 {
        let error = tier.get("a").await.unwrap_err();
        assert!(
            error.to_string().starts_with("the codec cannot read the value of `t:a`:"),
            "{error}"
        );
    }
    assert_eq!((tier.stats().fills, tier.stats().entries), (2, 0));
    let loaded = tier.get_or_load("a", Load::new(), async |_| Ok::<_, Error>(1)).await;
    assert!(matches!(loaded, Err(Error::Decode { .. })));
    let refused = Tier::<str, Refuses>::builder(place.server.url()).codec(Refuses).prefix("t:");
    let refused = refused.connect().await.unwrap().put("b", &Refuses, None).await;
    assert!(matches!(&refused, Err(Error::Encode { key, .. }) if key == "t:b"), "{refused:?}");
    assert!(!say::<bool>(&mut foreign, "EXISTS t:b").await);
    "an error, nothing kept".into()
}

/// A codec that refuses, and what it refuses.
struct Refuses;

impl evanesce_tier::Codec<Refuses> for Refuses {
    fn encode(&self, _: &Refuses) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        Err("never".into())
    }

    fn decode(&self, _: Vec<u8>) -> Result<Refuses, Box<dyn std::error::Error + Send + Sync>> {
        Err("never".into())
    }
}

async fn too_large(place: Arc<Place>) -> String {
    let tier = place.options().max_value_bytes(10).connect().await.unwrap();
    let mut foreign = place.foreign().await;
    let error = tier.put("a", &"x".repeat(11), None).await.unwrap_err();
    assert_eq!(error.to_string(), "the value of `t:a` has 11 bytes, but may have at most 10");
    assert!(!say::<bool>(&mut foreign, "EXISTS t:a").await);
    say::<()>(&mut foreign, &format!("SET t:a {}", "x".repeat(11))).await;
    for _ in 0..2 {
        assert!(matches!(tier.get("a").await, Err(Error::TooLarge { bytes: 11, limit: 10, .. })));
    }
    assert_eq!((tier.stats().fills, tier.stats().entries), (2, 0));
    say::<()>(&mut foreign, &format!("SET t:a {}", "x".repeat(10))).await;
    assert_eq!(read(&tier, "a").await.map(|value| value.len()), Some(10));
    "an error, nothing kept".into()
}

async fn big_values(place: Arc<Place>) -> String {
    let tier = place.tier().await;
    let big = "x".repeat(20 << 20);
    tier.put("a", &big, None).await.unwrap();
    catch_up(&tier).await;
    assert_eq!(read(&tier, "a").await.as_ref(), Some(&big));
    assert!(tier.hit("a").is_some_and(|value| *value == big));
    assert_eq!(tier.stats().losses, 0);
    tier.delete("a").await.unwrap();
    "20 MiB".into()
}

async fn wrong_password(place: Arc<Place>) -> String {
    let server = Server::start(place.kind, &["--requirepass", "secret"]).await;
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}/", server.port());
    for login in ["", ":wrong@", "nobody:wrong@"] {
        let error = place.options_at(&at(login)).connect().await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{login}: {error:?}");
        assert!(!error.to_string().contains("wrong@"), "{error}");
    }
    let tier = place.options_at(&at(":secret@")).connect().await.unwrap();
    assert!(!format!("{tier:?}").contains("secret"));
    assert_eq!(read(&tier, "a").await, None);
    "an error".into()
}

/// What speaks RESP2 alone refuses `HELLO`: as unknown, or by its version.
async fn no_resp3(place: Arc<Place>) -> String {
    for words in [
        "-ERR unknown command `HELLO`, with args beginning with: `3`",
        "-NOPROTO unsupported protocol version",
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("redis://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let old = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            _ = client.read(&mut asked).await;
            // One for each of the commands that it sends at first.
            _ = client.write_all(format!("{words}\r\n{words}\r\n{words}\r\n").as_bytes()).await;
            _ = client.read(&mut asked).await;
        });
        let error = place.options_at(&url).connect().await.unwrap_err();
        assert!(matches!(error, Error::NoResp3 { .. }), "{error:?}");
        old.abort();
    }
    "an error".into()
}

async fn unreachable(place: Arc<Place>) -> String {
    let url = format!("redis://user:secret@127.0.0.1:{}/", free_port());
    let error = place.options_at(&url).connect().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("cannot reach redis://user@127.0.0.1"), "{error}");
    // One that takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://127.0.0.1:{}/", silent.local_addr().unwrap().port());
    let options = place.options_at(&url).request_timeout(Duration::from_millis(50));
    let error = options.connect().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(matches!(place.options_at("nowhere").connect().await, Err(Error::Address { .. })));
    "an error".into()
}

async fn options(place: Arc<Place>) -> String {
    let refused = async |options: evanesce_tier::TierBuilder<str, String, evanesce_tier::Bytes>,
                         name: &str| {
        let error = options.connect().await.unwrap_err();
        assert!(matches!(&error, Error::Option { option, .. } if *option == name), "{error}");
    };
    refused(place.options().prefix(""), "prefix").await;
    refused(place.options().tracking(Tracking::Prefixes(vec![Vec::new()])), "tracking").await;
    refused(place.options().near_ttl(Duration::ZERO), "near_ttl").await;
    refused(place.options().max_entries(0), "max_entries").await;
    let tier = place.tier().await;
    let nothing = Duration::from_nanos(1);
    assert!(matches!(
        tier.put("a", &"1".into(), nothing).await,
        Err(Error::Option { option: "ttl", .. })
    ));
    assert!(matches!(tier.touch("a", Duration::MAX).await, Err(Error::Option { .. })));
    "an error".into()
}

async fn refused_write(place: Arc<Place>) -> String {
    let server = Server::start(place.kind, &[]).await;
    let tier = place.options_at(&server.url()).connect().await.unwrap();
    let mut foreign = server.foreign().await;
    tier.put("a", &"1".into(), None).await.unwrap();
    // A replica takes no writes.
    say::<()>(&mut foreign, &format!("REPLICAOF 127.0.0.1 {}", free_port())).await;
    let error = tier.put("a", &"2".into(), None).await.unwrap_err();
    assert!(error.to_string().contains("READONLY"), "{error}");
    say::<()>(&mut foreign, "REPLICAOF NO ONE").await;
    until("a connection", async || tier.state() == State::Connected).await;
    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
    "an error, the old value".into()
}

/// Those that the README names are enough.
async fn few_rights(place: Arc<Place>) -> String {
    let server = Server::start(place.kind, &[]).await;
    let mut foreign = server.foreign().await;
    let commands = "+hello +client +ping +get +pttl +set +del +pexpire +eval";
    let user = format!("ACL SETUSER ada on >secret ~t:* ~lease:*t:* -@all {commands}");
    say::<()>(&mut foreign, &user).await;
    let url = format!("redis://ada:secret@127.0.0.1:{}/", server.port());
    let tier = place.options_at(&url).heartbeat(Duration::from_millis(1), Duration::from_secs(30));
    let tier = tier.connect().await.unwrap();
    let load = Load::new().lease(Duration::from_secs(30));
    for key in ["a", "{b}c", "d}{e"] {
        tier.put(key, &"1".into(), Duration::from_secs(9)).await.unwrap();
        assert_eq!(read(&tier, key).await.as_deref(), Some("1"));
        assert!(tier.touch(key, Duration::from_secs(99)).await.unwrap());
        assert!(tier.delete(key).await.unwrap());
        let loaded = tier.get_or_load(key, load, async |_| Ok::<_, Error>("2".to_owned())).await;
        assert_eq!(*loaded.unwrap(), "2");
    }
    until("a heartbeat", async || tier.stats().push_lag.is_some()).await;
    assert_eq!(tier.stats().losses, 0);
    "enough".into()
}
