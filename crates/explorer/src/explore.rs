//! The exploration: every interleaving, step by step, each state once.
//!
//! A state is the memory, each thread's place in its program with the phase and log of its operation,
//! and the monitor. The states that were seen are kept as 64-bit hashes: two of the tens of millions
//! of one configuration fall together with a chance of about one in a hundred thousand. Accesses are
//! sequentially consistent: **orderings are not checked**, loom's models do that.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::access::{Access, Log, Stop};
use crate::config::{Config, Item, Kind, Op};
use crate::hash::{Identity, Mixer};
use crate::memory::Memory;
use crate::monitor::{Monitor, PENDING};
use crate::protocol::{self, Flow, Local};
use crate::sizes::{KEYS, THREADS};

/// Steps after which a thread that runs alone is taken to go round in circles.
const ALONE: u32 = 1000;
/// The longest path: no program is so long.
const DEEPEST: usize = 4000;

#[derive(Clone, Default)]
struct Thread {
    /// The place in its program.
    at: u8,
    busy: bool,
    /// A walk: keys that it told.
    told: u8,
    local: Local,
    log: Log,
}

#[derive(Clone)]
struct State {
    memory: Memory,
    threads: Vec<Thread>,
    monitor: Monitor,
}

/// What an exploration saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) states: u64,
    pub(crate) ends: u64,
    pub(crate) deepest: usize,
    /// Paths that were left because slots or overflow lines were spent.
    pub(crate) spent: u64,
    /// The limit of states was reached.
    pub(crate) cut: bool,
    pub(crate) broken: Option<Broken>,
}

#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) why: String,
    pub(crate) trace: Vec<String>,
}

enum Failure {
    Spent,
    Broken(String),
}

type Result<T> = std::result::Result<T, Failure>;

pub(crate) struct Explorer<'c> {
    config: &'c Config,
    alone: bool,
    limit: u64,
    seen: HashSet<u64, BuildHasherDefault<Identity>>,
    account: Account,
}

impl<'c> Explorer<'c> {
    /// With `alone`, checks in each state that every thread can end its operation alone.
    pub(crate) fn new(config: &'c Config, limit: u64, alone: bool) -> Explorer<'c> {
        Explorer { config, alone, limit, seen: HashSet::default(), account: Account::default() }
    }

    pub(crate) fn explore(mut self) -> Account {
        let mut path = Vec::new();
        if let Err(why) = self.follow(&mut path) {
            let trace = self.trace(&path);
            self.account.broken = Some(Broken { why, trace });
        }
        self.account
    }

    /// Depth first. `path` is the threads that took a step, up to here.
    fn follow(&mut self, path: &mut Vec<u8>) -> std::result::Result<(), String> {
        let count = self.config.programs.len();
        let first = self.start(None).map_err(|why| format!("at the start: {why}"))?;
        self.seen.insert(hash(&first));
        let mut stack = vec![(first, 0)];
        while let Some((state, thread)) = stack.last_mut() {
            let t = *thread;
            if t == count {
                stack.pop();
                path.pop();
                continue;
            }
            *thread += 1;
            if self.has_ended(state, t) {
                continue;
            }
            let mut after = state.clone();
            path.push(t as u8);
            match self.step(&mut after, t, None) {
                Err(Failure::Broken(why)) => return Err(why),
                Err(Failure::Spent) => {
                    self.account.spent += 1;
                    path.pop();
                    continue;
                }
                Ok(()) => {}
            }
            if !self.seen.insert(hash(&after)) {
                path.pop();
                continue;
            }
            self.account.states += 1;
            self.account.deepest = self.account.deepest.max(path.len());
            let mut others = (0..count).filter(|&t| !self.config.programs[t].may_stop);
            if others.all(|t| self.has_ended(&after, t)) {
                self.account.ends += 1;
                self.check_end(&after, None)?;
            }
            if self.alone {
                self.check_alone(&after, path)?;
            }
            if path.len() > DEEPEST {
                return Err(format!("a path of more than {DEEPEST} steps"));
            }
            if self.account.states >= self.limit {
                self.account.cut = true;
                return Ok(());
            }
            stack.push((after, 0));
        }
        Ok(())
    }

    fn has_ended(&self, state: &State, thread: usize) -> bool {
        usize::from(state.threads[thread].at) >= self.config.programs[thread].items.len()
    }

    /// The state at first: the entries that are there are put by nobody's thread.
    fn start(&self, mut trace: Option<&mut Vec<String>>) -> std::result::Result<State, String> {
        let mut memory = Memory::new(self.config);
        let mut entries = Vec::new();
        for (number, &(key, due)) in self.config.has.iter().enumerate() {
            let value = 13 + number as u8;
            let op = Op { kind: Kind::Put, key, value, due };
            self.run_by_nobody(&mut memory, op, trace.as_deref_mut())?;
            entries.push((key, value, due));
        }
        let threads = vec![Thread::default(); self.config.programs.len()];
        Ok(State { memory, threads, monitor: Monitor::new(&entries) })
    }

    /// A whole operation, with nobody between.
    fn run_by_nobody(
        &self,
        memory: &mut Memory,
        op: Op,
        mut trace: Option<&mut Vec<String>>,
    ) -> std::result::Result<u8, String> {
        let (mut local, mut budget) = (Local::default(), ALONE);
        loop {
            let mut log = Log::default();
            let mut m = Access::new(
                self.config,
                memory,
                &mut log,
                &mut budget,
                THREADS,
                trace.as_deref_mut(),
            );
            match protocol::run(&mut m, &mut local, op) {
                Ok(Flow::To(phase)) => local.phase = phase,
                Ok(Flow::Done(answer)) => return Ok(answer),
                Err(Stop::Broken(why)) => return Err(why),
                _ => return Err(format!("{op:?} does not end")),
            }
        }
    }

    /// One step of a thread.
    fn step(
        &mut self,
        state: &mut State,
        t: usize,
        mut trace: Option<&mut Vec<String>>,
    ) -> Result<()> {
        let item = self.config.programs[t].items[usize::from(state.threads[t].at)];
        let op = match item {
            Item::Pin => {
                say(&mut trace, || format!("thread {t} pins"));
                state.memory.pin(t);
                state.threads[t].at += 1;
                return Ok(());
            }
            Item::Unpin => {
                say(&mut trace, || format!("thread {t} unpins"));
                state.memory.unpin(t);
                state.threads[t].at += 1;
                return Ok(());
            }
            Item::Op(op) => op,
        };
        let ops = self.pending(state);
        if !state.threads[t].busy {
            say(&mut trace, || format!("thread {t} begins {op}"));
            state.threads[t] = Thread { at: state.threads[t].at, busy: true, ..Thread::default() };
            for pending in concerned(op, t) {
                state.monitor.begins(pending);
            }
        }
        let clock = state.memory.clock;
        let mut budget = 1;
        loop {
            let State { memory, threads, monitor } = state;
            let Thread { local, log, told, .. } = &mut threads[t];
            let mut after = *local;
            let mut m = Access::new(self.config, memory, log, &mut budget, t, trace.as_deref_mut());
            let flow = protocol::run(&mut m, &mut after, op);
            let flow = match flow {
                Ok(flow) => flow,
                Err(Stop::Paused) => break,
                Err(Stop::Spent) => return Err(Failure::Spent),
                Err(Stop::Broken(why)) => return Err(Failure::Broken(why)),
            };
            let before = local.phase;
            *local = after;
            log.clear();
            match flow {
                Flow::To(phase) if op.kind == Kind::Get && !protocol::goes_on(before, phase) => {
                    return Err(Failure::Broken("a lookup goes back".into()));
                }
                Flow::To(phase) => local.phase = phase,
                Flow::Tell(key, value, phase) => {
                    local.phase = phase;
                    say(&mut trace, || format!("thread {t} {op} tells key {key}, value {value}"));
                    if op.kind == Kind::Iterate && *told >> key & 1 == 1 {
                        return Err(Failure::Broken(format!("iteration tells key {key} twice")));
                    }
                    *told |= 1 << key;
                    let pending = THREADS + usize::from(key);
                    if !monitor.answers(pending, value, &ops) {
                        return Err(unexplained(op, key, value));
                    }
                    // A clear may end another entry of the key; an iteration tells it once.
                    if op.kind == Kind::Clear {
                        monitor.begins(pending);
                    }
                }
                Flow::Done(answer) => {
                    say(&mut trace, || format!("thread {t} {op} answers {answer}"));
                    let told = *told;
                    ended(&mut threads[t]);
                    end_of(monitor, op, t, told, answer, &ops)?;
                    break;
                }
                Flow::Panicked => {
                    say(&mut trace, || format!("thread {t} {op} panics"));
                    ended(&mut threads[t]);
                    if !monitor.withdraws(t) {
                        return Err(Failure::Broken("a panicking insert was seen".into()));
                    }
                    break;
                }
            }
        }
        if state.memory.clock != clock {
            state.monitor.ticks(&ops);
        }
        Ok(())
    }

    /// The operations that the monitor may ask for: those of the threads, and a walk's.
    fn pending(&self, state: &State) -> [Option<Op>; PENDING] {
        let mut ops = [None; PENDING];
        for (t, program) in self.config.programs.iter().enumerate() {
            let Some(&Item::Op(op)) = program.items.get(usize::from(state.threads[t].at)) else {
                continue;
            };
            for pending in concerned(op, t) {
                ops[pending] = Some(if pending < THREADS { op } else { of_key(op, pending) });
            }
        }
        ops
    }

    /// All have ended, but for those that may stop: what the map has now must be explained.
    fn check_end(
        &self,
        state: &State,
        mut trace: Option<&mut Vec<String>>,
    ) -> std::result::Result<(), String> {
        let (mut memory, mut monitor) = (state.memory.clone(), state.monitor.clone());
        let count = self.config.programs.len();
        let stopped = (0..count).find(|&t| state.threads[t].busy);
        let mut ops = self.pending(state);
        // A walk that stopped uses these as well; its keys are not asked for.
        if stopped.is_none() || ops[THREADS..].iter().all(Option::is_none) {
            for key in 0..KEYS as u8 {
                let pending = THREADS + usize::from(key);
                let op = Op { kind: Kind::Get, key, value: 0, due: false };
                let value = self.run_by_nobody(&mut memory, op, trace.as_deref_mut())?;
                say(&mut trace, || format!("at the end key {key} has value {value}"));
                ops[pending] = Some(op);
                monitor.begins(pending);
                if !monitor.answers(pending, value, &ops) {
                    return Err(format!("at the end key {key} has value {value}: not explained"));
                }
            }
        }
        if stopped.is_none() {
            return memory.check_rest(self.config);
        }
        let migrates = |item: &Item| matches!(item, Item::Op(op) if op.kind == Kind::Migrate);
        let mut others = self.config.programs.iter().filter(|program| !program.may_stop);
        if others.any(|program| program.items.iter().any(migrates)) && memory.root == 0 {
            return Err("a thread stopped, and the others did not switch the root".into());
        }
        Ok(())
    }

    /// Each operation ends if only its thread runs.
    fn check_alone(
        &mut self,
        state: &State,
        path: &mut Vec<u8>,
    ) -> std::result::Result<(), String> {
        for t in (0..state.threads.len()).filter(|&t| state.threads[t].busy) {
            let mut alone = state.clone();
            let mut steps = 0;
            while alone.threads[t].at == state.threads[t].at {
                steps += 1;
                path.push(t as u8);
                if steps > ALONE {
                    path.truncate(path.len() - ALONE as usize + 100);
                    return Err(format!(
                        "thread {t} alone does not end its operation: not lock-free"
                    ));
                }
                match self.step(&mut alone, t, None) {
                    Ok(()) => {}
                    Err(Failure::Spent) => break,
                    Err(Failure::Broken(why)) => return Err(why),
                }
            }
            path.truncate(path.len() - steps as usize);
        }
        Ok(())
    }

    /// Takes the steps of a path again, and says what they do.
    fn trace(&mut self, path: &[u8]) -> Vec<String> {
        let mut trace = vec!["at the start:".into()];
        let Ok(mut state) = self.start(Some(&mut trace)) else { return trace };
        trace.push("then:".into());
        for &t in path {
            if self.step(&mut state, usize::from(t), Some(&mut trace)).is_err() {
                return trace;
            }
        }
        let _ = self.check_end(&state, Some(&mut trace));
        trace
    }
}

fn ended(thread: &mut Thread) {
    *thread = Thread { at: thread.at + 1, ..Thread::default() };
}

/// What the monitor says of an operation that has ended.
fn end_of(
    monitor: &mut Monitor,
    op: Op,
    t: usize,
    told: u8,
    answer: u8,
    ops: &[Option<Op>; PENDING],
) -> Result<()> {
    for pending in concerned(op, t) {
        let key = if pending < THREADS { op.key } else { (pending - THREADS) as u8 };
        let explained = match op.kind {
            Kind::Iterate if told >> key & 1 == 1 => true,
            // What is left of a clear that ended an entry of the key: begun once more, and not done.
            Kind::Clear if told >> key & 1 == 1 => monitor.withdraws(pending),
            _ => monitor.answers(pending, answer, ops),
        };
        if !explained {
            return Err(unexplained(op, key, answer));
        }
    }
    Ok(())
}

fn unexplained(op: Op, key: u8, answer: u8) -> Failure {
    Failure::Broken(format!(
        "{op} answers {answer} for key {key}: no order of the operations explains it"
    ))
}

/// The monitor's numbers of an operation: its thread's, or one for each key of a walk.
fn concerned(op: Op, thread: usize) -> impl Iterator<Item = usize> {
    let (from, to) = match op.kind {
        Kind::Sweep | Kind::Migrate | Kind::Tick => (0, 0),
        Kind::Iterate | Kind::Clear => (THREADS, PENDING),
        _ => (thread, thread + 1),
    };
    // Nothing is said of the key that a walk keeps.
    (from..to).filter(move |&n| op.kind != Kind::Clear || n != THREADS + usize::from(op.key))
}

/// What a walk does to one key.
fn of_key(op: Op, pending: usize) -> Op {
    let kind = if op.kind == Kind::Iterate { Kind::Get } else { Kind::Remove };
    Op { kind, key: (pending - THREADS) as u8, value: 0, due: false }
}

fn say(trace: &mut Option<&mut Vec<String>>, what: impl FnOnce() -> String) {
    if let Some(trace) = trace {
        trace.push(what());
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.memory.hash(hasher);
        for Thread { at, busy, told, local, log } in &self.threads {
            hasher.write_u64(u64::from(*at) << 16 | u64::from(*told) << 8 | u64::from(*busy));
            local.hash(hasher);
            log.hash(hasher);
        }
        self.monitor.hash(hasher);
    }
}

fn hash(state: &State) -> u64 {
    let mut hasher = Mixer::default();
    state.hash(&mut hasher);
    hasher.flush();
    hasher.finish()
}
