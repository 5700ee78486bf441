//! The command line.

use crate::plants::Plant;

pub(crate) const HELP: &str = "\
Explores the line protocol: every interleaving of small programs, against a monitor.

evanesce-explorer --ci                fast configurations, and every plant by the one that catches it
evanesce-explorer --all [OPTIONS]     all configurations
evanesce-explorer NAME... [OPTIONS]   those whose name contains a NAME
evanesce-explorer --list              configurations and plants

  --plant NAME   with this bug in the protocol; ends with the first configuration that catches it
  --limit N      at most N states a configuration
  --trace        shows the steps that lead to a failure
  --alone        checks in each state that every thread alone ends its operation (lock-freedom)
  --jobs N       configurations at a time; default: one

Exit status: 0 all is well, 1 the protocol is broken (with --ci also: a plant is not caught), 2 wrong options.
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    List,
    Ci { jobs: usize },
    Run(Run),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Parts of names; none: all.
    pub(crate) names: Vec<String>,
    pub(crate) plant: Option<Plant>,
    pub(crate) limit: Option<u64>,
    pub(crate) trace: bool,
    pub(crate) alone: bool,
    pub(crate) jobs: usize,
}

pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut args = args.into_iter();
    let (mut run, mut all, mut ci, mut list) =
        (Run { jobs: 1, ..Run::default() }, false, false, false);
    while let Some(arg) = args.next() {
        let mut value = |what: &str| args.next().ok_or(format!("{arg} wants {what}"));
        match arg.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--list" => list = true,
            "--ci" => ci = true,
            "--all" => all = true,
            "--trace" => run.trace = true,
            "--alone" => run.alone = true,
            "--plant" => run.plant = Some(plant(&value("a name")?)?),
            "--limit" => run.limit = Some(number(&arg, &value("a number")?)?),
            "--jobs" => run.jobs = number(&arg, &value("a number")?)? as usize,
            option if option.starts_with('-') => {
                return Err(format!("there is no option {option}; see --help"));
            }
            _ => run.names.push(arg),
        }
    }
    let jobs = run.jobs;
    let chosen = [list, ci, all, !run.names.is_empty()];
    match chosen.iter().filter(|&&chosen| chosen).count() {
        0 => return Err("say what to run: --ci, --all, or names; see --help".into()),
        1 => {}
        _ => return Err("--list, --ci, --all and names exclude each other".into()),
    }
    if (list || ci) && run != (Run { jobs, ..Run::default() }) {
        return Err("--list and --ci take no options but --jobs".into());
    }
    Ok(match () {
        () if list => Command::List,
        () if ci => Command::Ci { jobs },
        () => Command::Run(run),
    })
}

fn plant(name: &str) -> Result<Plant, String> {
    let found = Plant::ALL.iter().copied().find(|plant| plant.name() == name);
    found.ok_or(format!("there is no plant `{name}`; see --list"))
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    match text.replace('_', "").parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{option} wants a number above 0, not `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Command, String> {
        read(line.split_whitespace().map(String::from))
    }

    #[test]
    fn options_are_read() {
        assert_eq!(options("--ci --jobs 2"), Ok(Command::Ci { jobs: 2 }));
        let Ok(Command::Run(run)) = options("split --plant no-count --limit 1_000 --trace") else {
            panic!()
        };
        assert_eq!((run.plant, run.limit, run.trace), (Some(Plant::NoCount), Some(1000), true));
    }

    #[test]
    fn wrong_options_are_refused_with_a_reason() {
        for (line, why) in [
            ("", "say what to run"),
            ("--ci --all", "exclude"),
            ("--ci split", "exclude"),
            ("--ci --trace", "no options but"),
            ("--all --plant nothing", "no plant `nothing`"),
            ("--all --limit", "--limit wants"),
            ("--all --limit 0", "above 0"),
            ("--fast", "no option --fast"),
        ] {
            let error = options(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
