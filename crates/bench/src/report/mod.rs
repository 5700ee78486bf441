//! What people look at: a table of all results, and charts of the curves.

mod axis;
mod charts;
mod table;

use std::fs;
use std::path::Path;

use crate::results::Outcome;
use crate::rows;

/// Makes the table and the charts of a folder from the results in it, and says what it made.
pub(crate) fn write(folder: &Path) -> Result<String, String> {
    let (mut outcomes, mut unread) = (Vec::new(), Vec::new());
    for id in rows::ALL.iter().flat_map(|row| row.ids) {
        match Outcome::load(folder, id) {
            Ok(found) => outcomes.extend(found),
            Err(why) => unread.push(format!("left out, since it cannot be read: {why}\n")),
        }
    }
    let unread = unread.concat();
    if outcomes.is_empty() {
        return Err(format!("{unread}{}: no results to report", folder.display()));
    }
    let charts = charts::draw(folder, &outcomes)?;
    let table = folder.join("TABLE.md");
    fs::write(&table, table::text(&outcomes, &charts))
        .map_err(|error| format!("{}: {error}", table.display()))?;
    let summary = table::summary(&outcomes);
    Ok(format!("{unread}{summary}\n{} and {} charts\n", table.display(), charts.len()))
}
