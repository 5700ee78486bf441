//! What the README tells of its charts is what their results say.

use std::fs;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The line that belongs below a chart of this row.
fn caption(row: &str) -> String {
    let result: Value =
        serde_json::from_str(&read(&format!("docs/results/{row}.json"))).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let machine = &result["machine"];
    format!(
        "*{}, {} cores, {}; {}; commit {} (row {row})*",
        text(&machine["processor"]),
        machine["cores"],
        text(&machine["system"]),
        text(&result["date"]),
        text(&result["commit"]),
    )
}

#[test]
fn each_chart_has_its_machine_date_and_commit_below_it() {
    let readme = read("README.md");
    let rows = [("growth", "W1"), ("expiry", "T1"), ("sizes", "SIZES")];
    let charts: Vec<&str> = readme.lines().filter(|line| line.starts_with("![")).collect();
    assert_eq!(charts.len(), rows.len(), "{charts:?}");
    for (chart, row) in rows {
        let line = format!("](docs/results/{chart}.svg)");
        let (_, below) = readme.split_once(&line).unwrap_or_else(|| panic!("no {chart}"));
        assert_eq!(below.trim_start().lines().next(), Some(&*caption(row)), "{chart}");
    }
}

#[test]
fn no_code_of_the_readme_has_hidden_lines() {
    let readme = read("README.md");
    let hidden = readme.lines().find(|line| line.starts_with("# ") && line.contains("::"));
    assert_eq!(hidden, None);
}
