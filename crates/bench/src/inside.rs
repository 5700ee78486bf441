//! The child's end of a row: measures it, or a part of it, in this process.

use std::io::{self, Read};
use std::thread;

use crate::options::Task;
use crate::told::{Run, Stop, tell};

/// Measures a row, or a part of it, in this process.
pub(crate) fn main(task: Task) {
    end_with_parent();
    let run = Run::new(task.settings);
    let result = match task.alone {
        None => (task.row.measure)(&run).and_then(|mut results| {
            for (_, measured) in &mut results {
                measured.noise = measured.noise.take().or_else(|| run.noise());
            }
            json(&results)
        }),
        Some(part) => (task.row.alone)(&run, &part).and_then(|value| json(&value)),
    };
    tell(&match result {
        Ok(json) => format!("done {json}"),
        Err(Stop::Skip(why)) => format!("skip {why}"),
        Err(Stop::Fail(why)) => format!("fail {why}"),
    });
}

fn json(value: &impl serde::Serialize) -> Result<String, Stop> {
    serde_json::to_string(value).map_err(|error| Stop::Fail(error.to_string()))
}

/// Ends this process when the other end of standard input is gone.
fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}
