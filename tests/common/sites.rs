//! Keys and values that can be made to misbehave at a chosen call of user code.

use super::Rng;
use super::tally::{Tally, Token};
use equivalent::Equivalent;
use evanesce::{Clock, ManualClock};
use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// Where the map calls user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    Hash,
    Eq,
    Clone,
    Clock,
    Closure,
    DropKey,
    DropVal,
}

struct Trap {
    site: Site,
    left: Cell<usize>,
    act: Rc<dyn Fn()>,
}

thread_local!(static TRAP: RefCell<Option<Trap>> = const { RefCell::new(None) });

/// Makes this thread's `nth` call (from 1) at `site` run `act`, once.
pub fn arm(site: Site, nth: usize, act: impl Fn() + 'static) {
    let left = Cell::new(nth);
    let act = Rc::new(act);
    TRAP.set(Some(Trap { site, left, act }));
}

/// Takes the trap away; true when it had run.
pub fn disarm() -> bool {
    TRAP.take().is_none()
}

thread_local!(static LIES: RefCell<Option<(Rng, &'static [Site])>> = const { RefCell::new(None) });

/// Makes this thread's calls at `sites` answer at random while `f` runs.
pub fn lying<R>(rng: Rng, sites: &'static [Site], f: impl FnOnce() -> R) -> R {
    LIES.set(Some((rng, sites)));
    let result = f();
    LIES.set(None);
    result
}

/// Whether any calls of this thread lie.
pub fn lies() -> bool {
    LIES.with_borrow(Option::is_some)
}

/// A random number if what is called at `site` lies.
fn lie(site: Site) -> Option<u64> {
    LIES.with_borrow_mut(|lies| match lies {
        Some((rng, sites)) if sites.contains(&site) => Some(rng.next()),
        _ => None,
    })
}

/// User code is called here.
pub fn hit(site: Site) {
    let due = |trap: &mut Trap| {
        trap.site == site && {
            trap.left.set(trap.left.get() - 1);
            trap.left.get() == 0
        }
    };
    // Err: in a thread-local destructor, where nothing is armed.
    let trap = TRAP.try_with(|trap| trap.borrow_mut().take_if(due));
    if let Ok(Some(trap)) = trap {
        (trap.act)();
    }
}

/// The payload of every panic raised on purpose.
struct Boom;

/// Panics without calling the panic hook (which would print thousands of messages).
pub fn boom() {
    resume_unwind(Box::new(Boom));
}

/// Runs `f`; `None` when it panicked by [`boom`]. Other panics go on.
pub fn caught<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(panic) if panic.is::<Boom>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

/// A key whose clone, hash, equality and drop are sites.
pub struct SiteKey {
    pub n: u64,
    token: Token,
}

impl SiteKey {
    pub fn new(n: u64, tally: &Tally) -> Self {
        Self { n, token: tally.token() }
    }

    pub fn token(&self) -> usize {
        self.token.number()
    }
}

impl Clone for SiteKey {
    fn clone(&self) -> Self {
        hit(Site::Clone);
        Self { n: self.n, token: self.token.clone() }
    }
}

impl Hash for SiteKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hit(Site::Hash);
        state.write_u64(lie(Site::Hash).map_or(self.n, |random| random % 16));
    }
}

impl PartialEq for SiteKey {
    fn eq(&self, other: &Self) -> bool {
        hit(Site::Eq);
        lie(Site::Eq).map_or(self.n == other.n, |random| random % 2 == 0)
    }
}

impl Eq for SiteKey {}

impl Drop for SiteKey {
    fn drop(&mut self) {
        hit(Site::DropKey);
    }
}

/// A borrowed form of [`SiteKey`].
#[derive(Clone, Copy, Debug)]
pub struct Probe(pub u64);

impl Hash for Probe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hit(Site::Hash);
        state.write_u64(lie(Site::Hash).map_or(self.0, |random| random % 16));
    }
}

impl Equivalent<SiteKey> for Probe {
    fn equivalent(&self, key: &SiteKey) -> bool {
        hit(Site::Eq);
        lie(Site::Eq).map_or(self.0 == key.n, |random| random % 2 == 0)
    }
}

/// A value whose clone and drop are sites.
pub struct SiteVal {
    pub n: u64,
    token: Token,
}

impl SiteVal {
    pub fn new(n: u64, tally: &Tally) -> Self {
        Self { n, token: tally.token() }
    }

    pub fn token(&self) -> usize {
        self.token.number()
    }
}

impl Clone for SiteVal {
    fn clone(&self) -> Self {
        hit(Site::Clone);
        Self { n: self.n, token: self.token.clone() }
    }
}

impl Drop for SiteVal {
    fn drop(&mut self) {
        hit(Site::DropVal);
    }
}

/// A manual clock whose reading is a site.
#[derive(Clone, Debug)]
pub struct SiteClock(pub ManualClock);

impl Clock for SiteClock {
    fn now(&self) -> u64 {
        hit(Site::Clock);
        lie(Site::Clock).map_or_else(|| self.0.now(), |random| random % 40)
    }
}
