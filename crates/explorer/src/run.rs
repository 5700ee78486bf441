//! Runs configurations, some at a time, and says what came of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::config::{self, Config};
use crate::explore::{Account, Explorer};
use crate::options;
use crate::plants::Plant;

/// Far more than a plant of CI needs.
const PLANT_LIMIT: u64 = 3_000_000;

struct Job {
    config: Config,
    limit: u64,
    alone: bool,
}

struct Result {
    account: Account,
    took: Duration,
}

/// Runs all jobs on `threads` threads. `tell` hears of each when it is done, and may end it all.
fn run(jobs: &[Job], threads: usize, tell: impl Fn(&Job, &Result) -> bool + Sync) -> Vec<Result> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some((number, job)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(number).map(|job| (number, job))
                } {
                    let started = Instant::now();
                    let account = Explorer::new(&job.config, job.limit, job.alone).explore();
                    let result = Result { account, took: started.elapsed() };
                    let mut results = results.lock().expect("no job panics");
                    if !tell(job, &result) {
                        next.store(jobs.len(), Ordering::Relaxed);
                    }
                    results.push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no job panics");
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

fn line(job: &Job, Result { account, took }: &Result) -> String {
    let Account { states, ends, deepest, spent, cut, broken } = account;
    let name = &job.config.name;
    let took = took.as_secs_f64();
    let mut text =
        format!("{name:56} {states:>10} states {ends:>6} ends, {deepest:>3} deep {took:>7.1} s");
    if *cut {
        text += "  CUT";
    }
    if *spent > 0 {
        text += "  (on some paths slots or overflow lines were spent)";
    }
    if let Some(broken) = broken {
        text = format!("{name}: BROKEN after {states} states: {}", broken.why);
    }
    text
}

/// Runs what was asked for; whether all is well.
pub(crate) fn chosen(options: &options::Run) -> std::result::Result<bool, String> {
    let wanted = |config: &Config| {
        options.names.is_empty()
            || options.names.iter().any(|name| config.name.contains(name.as_str()))
    };
    let jobs: Vec<Job> = all()?
        .into_iter()
        .filter(wanted)
        .map(|config| Job {
            config: Config { plant: options.plant, ..config },
            limit: options.limit.unwrap_or(u64::MAX),
            alone: options.alone,
        })
        .collect();
    if jobs.is_empty() {
        return Err(format!(
            "no configuration has a name with {}; see --list",
            options.names.join(" or ")
        ));
    }
    let results = run(&jobs, options.jobs, |job, result| {
        println!("{}", line(job, result));
        let Some(broken) = &result.account.broken else { return true };
        if options.trace {
            broken.trace.iter().for_each(|step| println!("    {step}"));
        }
        options.plant.is_none()
    });
    let broken = results.iter().filter(|result| result.account.broken.is_some()).count();
    let states: u64 = results.iter().map(|result| result.account.states).sum();
    let seconds: f64 = results.iter().map(|result| result.took.as_secs_f64()).sum();
    println!(
        "explorer: {} configurations, {states} states, {seconds:.0} s, {broken} broken",
        results.len()
    );
    Ok(broken == 0)
}

/// The fast configurations, each state with each thread alone as well, and each plant by the configuration that catches it.
pub(crate) fn ci(threads: usize) -> std::result::Result<bool, String> {
    let configs = config::fast()?;
    let mut jobs = Vec::new();
    for &plant in Plant::ALL {
        let by = plant.caught_by();
        let config = all()?.into_iter().find(|config| config.name == by);
        let config =
            config.ok_or(format!("plant {}: there is no configuration `{by}`", plant.name()))?;
        let config = Config { plant: Some(plant), ..config };
        jobs.push(Job { config, limit: PLANT_LIMIT, alone: plant.only_alone() });
    }
    let plants = jobs.len();
    let plain = configs.into_iter().map(|config| Job { config, limit: u64::MAX, alone: true });
    jobs.extend(plain);
    let results = run(&jobs, threads, |job, result| {
        match (job.config.plant, &result.account.broken) {
            (Some(plant), None) => {
                println!("plant {} is NOT CAUGHT by: {}", plant.name(), line(job, result));
            }
            (None, Some(broken)) => {
                println!("{}", line(job, result));
                broken.trace.iter().for_each(|step| println!("    {step}"));
            }
            _ => {}
        }
        true
    });
    let (with_plant, plain) = results.split_at(plants);
    let caught = with_plant.iter().filter(|result| result.account.broken.is_some()).count();
    let broken = plain.iter().filter(|result| result.account.broken.is_some()).count();
    let states: u64 = plain.iter().map(|result| result.account.states).sum();
    let end = match (caught == plants, broken) {
        (true, 0) => "all plants caught".to_owned(),
        _ => format!("{broken} broken, {caught} of {plants} plants caught"),
    };
    println!("explorer: {} configurations, {states} states, {end}", plain.len());
    Ok(caught == plants && broken == 0)
}

fn all() -> std::result::Result<Vec<Config>, String> {
    let mut all = config::fast()?;
    all.extend(config::full()?);
    Ok(all)
}

pub(crate) fn list() -> std::result::Result<(), String> {
    for (title, configs) in [("fast:", config::fast()?), ("full:", config::full()?)] {
        println!("{title}");
        for config in configs {
            println!("  {:56} {}", config.name, config.text);
        }
    }
    println!("plants, and what catches them:");
    for plant in Plant::ALL {
        println!("  {:28} {} [{}]", plant.name(), plant.what(), plant.caught_by());
    }
    Ok(())
}
