//! A server that is spoken to over TLS, with a certificate of a test's own: `--features tls`.

mod common;

use std::{io::Write, path::Path, process::Command};

use common::server::{Kind, Server, free_port};
use evanesce_tier::{Bytes, Error, Tier};

const URL: &str = "EVANESCE_TLS_URL";

/// A certificate for the loopback that signs itself, and its key; false if there is no openssl.
fn certify(folder: &Path) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "1", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder)
        .output();
    made.is_ok_and(|made| made.status.success())
}

#[tokio::test]
async fn a_tier_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    if Kind::Redis.program().is_err() || !certify(folder.path()) {
        // Past the test harness, which shows nothing of a test that passes.
        _ = writeln!(std::io::stderr(), "SKIPPED: TLS: no redis-server, or no openssl");
        return;
    }
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, port) = (path("cert.pem"), path("key.pem"), free_port().to_string());
    let tls = ["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let tls = [&tls[..], &["--tls-auth-clients", "no", "--tls-ca-cert-file", &cert]].concat();
    let server = Server::start(Kind::Redis, &tls).await;
    // In a process of its own: which certificates are trusted is a variable of the environment.
    let within = |trusted: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "within", "--ignored", "--nocapture"])
            .env("SSL_CERT_FILE", trusted)
            .env(URL, format!("rediss://127.0.0.1:{port}/"))
            .env("EVANESCE_FOREIGN", server.url())
            .output()
            .unwrap()
    };
    let trusting = within(&cert);
    assert!(trusting.status.success(), "{}", String::from_utf8_lossy(&trusting.stdout));
    // Another one, that has not signed it.
    let other = tempfile::tempdir().unwrap();
    assert!(certify(other.path()));
    let doubting = within(other.path().join("cert.pem").to_str().unwrap());
    let said = String::from_utf8_lossy(&doubting.stderr).into_owned();
    assert!(!doubting.status.success() && said.contains("Unreachable"), "{said}");
}

#[tokio::test]
#[ignore = "`a_tier_speaks_tls` runs it"]
async fn within() {
    let tier = Tier::<str, String>::builder(std::env::var(URL).unwrap()).codec(Bytes);
    let tier = tier.connect().await.unwrap();
    tier.put("a", &"1".into(), None).await.unwrap();
    assert_eq!(tier.get("a").await.unwrap().unwrap().as_str(), "1");
    assert!(tier.hit("a").is_some());
    // What another writes, without TLS, is announced.
    let foreign = redis::Client::open(std::env::var("EVANESCE_FOREIGN").unwrap()).unwrap();
    let mut foreign = foreign.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg("a").arg("2").exec_async(&mut foreign).await.unwrap();
    common::until("the push", async || tier.hit("a").is_none()).await;
    assert_eq!(tier.get("a").await.unwrap().unwrap().as_str(), "2");
    // No cluster is spoken to so.
    let cluster = Tier::<str, String>::cluster([std::env::var(URL).unwrap()]).codec(Bytes);
    let error = cluster.connect().await.unwrap_err();
    assert!(matches!(&error, Error::Address { words, .. } if words.contains("no TLS")), "{error}");
    // The port without TLS speaks none.
    let port = std::env::var("EVANESCE_FOREIGN").unwrap().replace("redis:", "rediss:");
    let error = Tier::<str, String>::builder(port).codec(Bytes).connect().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}
