//! What the packages of the peers say of themselves: README, "What it has, beside the others". Of a peer that is not
//! the version named there, each row of the table wants another look.

use serde_json::Value;
use std::{env, fs, path::Path, path::PathBuf, process::Command, sync::LazyLock};

const PEERS: [&str; 5] = ["papaya", "dashmap", "scc", "moka", "quick_cache"];

/// What `cargo metadata` tells of all packages.
static PACKAGES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all: Value = serde_json::from_slice(&output.stdout).unwrap();
    serde_json::from_value(all["packages"].take()).unwrap()
});

/// The package of a peer: the newest, where there are two of the name.
fn package(name: &str) -> &'static Value {
    PACKAGES
        .iter()
        .filter(|package| package["name"] == name)
        .max_by_key(|package| package["version"].as_str())
        .unwrap()
}

fn folder(name: &str) -> PathBuf {
    Path::new(package(name)["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// Whether a feature is there by that name, or a dependency that is one.
fn has(name: &str, feature: &str) -> bool {
    let package = package(name);
    let is_optional =
        |dependency: &Value| dependency["name"] == feature && dependency["optional"] == true;
    package["features"].get(feature).is_some()
        || package["dependencies"].as_array().unwrap().iter().any(is_optional)
}

fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// README: "Against papaya .., dashmap .., scc .., moka .., `quick_cache` ..". Migrating: "Of dashmap 6.2, moka 0.12,
/// papaya 0.2".
#[test]
fn the_versions_named_in_the_documents_are_those_that_these_tests_run() {
    let (readme, migrating) = (document("README.md"), document("docs/migrating.md"));
    for name in PEERS {
        let version = package(name)["version"].as_str().unwrap();
        assert!(
            readme.contains(&format!("{name} {version}")),
            "README names another version than {name} {version}"
        );
        let minor = version.rsplit_once('.').unwrap().0;
        let is_named = ["dashmap", "moka", "papaya"].contains(&name);
        assert!(
            !is_named || migrating.contains(&format!("{name} {minor}")),
            "migrating.md: {name} {minor}"
        );
    }
}

/// README: "serde; rayon": papaya ✓; –, dashmap ✓; ✓, scc ✓; –, moka –; –, `quick_cache` –; –.
#[test]
fn who_has_serde_and_rayon() {
    let found = PEERS.map(|name| (has(name, "serde"), has(name, "rayon")));
    assert_eq!(found, [(true, false), (true, true), (true, false), (false, false), (false, false)]);
}

/// README: "hits and misses counted": `quick_cache` by a feature, the others –.
#[test]
fn quick_cache_counts_hits_by_a_feature() {
    assert_eq!(PEERS.map(|name| has(name, "stats")), [false, false, false, false, true]);
}

/// README: "None of them is `no_std`."
#[test]
fn none_of_them_is_no_std() {
    for name in PEERS {
        let root = fs::read_to_string(folder(name).join("src/lib.rs")).unwrap();
        assert!(!root.contains("no_std"), "{name}");
    }
}

/// README: "models in its repository": scc loom, moka loom, `quick_cache` shuttle; papaya and dashmap –.
#[test]
fn who_is_built_for_a_model_checker() {
    let found = PEERS.map(|name| {
        let manifest = fs::read_to_string(folder(name).join("Cargo.toml")).unwrap();
        ["loom", "shuttle"].map(|model| manifest.contains(model))
    });
    assert_eq!(
        found,
        [[false, false], [false, false], [true, false], [true, false], [false, true]]
    );
}

/// README: "papaya, scc and `quick_cache` have Miri in their CI". (moka has it for three of its parts, in its
/// repository on 2026-03-01, commit 2d8289e; its package has no CI files.)
#[test]
fn miri_runs_in_the_ci_of_three() {
    let files = [
        ("papaya", ".github/workflows/safety.yml", true),
        ("dashmap", ".github/workflows/ci.yml", false),
        ("scc", ".woodpecker/scc.yml", true),
        ("quick_cache", ".github/workflows/ci.yml", true),
    ];
    for (name, file, expected) in files {
        let ci = fs::read_to_string(folder(name).join(file)).unwrap();
        assert_eq!(ci.contains("cargo miri test"), expected, "{name}");
    }
}

/// README: "sweeping by budget", "set", "a clock", "several keys side by side" and what else is –: by the names under
/// which it would be public.
#[test]
fn no_peer_has_a_call_by_these_names() {
    let absent = [
        ("papaya", &["ttl", "expire", "time_to_live", "get_many", "max_capacity", "fn entry("][..]),
        ("dashmap", &["ttl", "expire", "time_to_live", "get_many", "max_capacity"]),
        ("scc", &["ttl", "expire", "time_to_live", "get_many"]),
        (
            "moka",
            &[
                "get_many",
                "jitter",
                "get_stale",
                "fn set_time_to_live",
                "fn hit_count",
                "HashSet<K>",
            ],
        ),
        ("quick_cache", &["ttl", "expire", "time_to_live", "get_many"]),
    ];
    for (name, calls) in absent {
        for file in sources(&folder(name).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            for line in text
                .lines()
                .map(str::trim_start)
                .filter(|line| line.starts_with("pub ") && line.contains("fn "))
            {
                let found = calls.iter().find(|call| line.contains(**call));
                assert_eq!(found, None, "{name}, {}: {line}", file.display());
            }
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_private = |path: &PathBuf| path.ends_with("raw");
    paths
        .filter(|path| !is_private(path))
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}
