//! Random schedules of fill, push, own write, generation and loss, on the map and the word as they are, before a server of
//! a few words: `RUSTFLAGS="--cfg evanesce_shuttle" cargo test --release -p evanesce-tier --features shuttle --lib`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use evanesce::TtlMap;
use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler},
    sync::{Condvar, Mutex, mpsc},
    thread,
};

use crate::{
    error::Error,
    gate::{Gate, Origin, SessionId},
    near::{Look, Near, Read},
};

const KEY: &[u8] = b"a";

/// Runs `program` under `EVANESCE_SCHEDULES` schedules, a failing one of which is printed: half of them random, half by priorities
/// with few changes, without which a writer of few steps is done before a fill of many has begun.
pub(crate) fn explore(program: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("EVANESCE_SCHEDULES")
        .map_or(2_000, |text| text.parse().expect("EVANESCE_SCHEDULES is a number"));
    let mut config = Config::new();
    config.stack_size = 1 << 20; // without optimization the map's calls are deep
    let program = Arc::new(program);
    let again = Arc::clone(&program);
    Runner::new(RandomScheduler::new(schedules / 2), config.clone()).run(move || program());
    Runner::new(PctScheduler::new(3, schedules - schedules / 2), config).run(move || again());
}

/// What the server writes into the connection, in its order.
enum Frame {
    Answer(mpsc::Sender<Option<u64>>, u64),
    Changed,
    Flushed,
    End,
}

/// The server, and the connection from it.
struct Server {
    /// The value, and what is under way; whether there is a connection.
    state: Mutex<(u64, VecDeque<Frame>, bool)>,
    written: Condvar,
}

struct World {
    near: Near<u64>,
    gate: Arc<Gate>,
    server: Server,
}

impl World {
    /// A server with the value 0, connected.
    fn new() -> (Arc<Self>, SessionId) {
        let map = TtlMap::builder().sweep_per_write(0).build().unwrap();
        let near = Near::new(map, Duration::ZERO, None, Duration::MAX);
        let server =
            Server { state: Mutex::new((0, VecDeque::new(), true)), written: Condvar::new() };
        let world = Arc::new(Self { near, gate: Arc::new(Gate::new()), server });
        let session = world.gate.next_session();
        assert!(world.gate.connected(session));
        (world, session)
    }

    /// A write of the server's value, and its push if there is a connection.
    fn write(&self, push: impl FnOnce() -> Frame) {
        let mut state = self.server.state.lock().unwrap();
        state.0 += 1;
        if state.2 {
            state.1.push_back(push());
        }
        self.server.written.notify_all();
    }

    fn end(&self) {
        self.server.state.lock().unwrap().1.push_back(Frame::End);
        self.server.written.notify_all();
    }

    /// What a fill does: asks, and waits for the answer, which another thread brings.
    fn ask(&self) -> Result<Read<u64>, Error> {
        let (sender, receiver) = mpsc::channel();
        let origin = Origin::now(&self.gate);
        {
            let mut state = self.server.state.lock().unwrap();
            if !state.2 {
                return Err(self.gate.lost(Duration::ZERO));
            }
            let value = state.0;
            state.1.push_back(Frame::Answer(sender, value));
        }
        self.server.written.notify_all();
        let Ok(Some(value)) = receiver.recv() else {
            return Err(Error::Interrupted { words: "lost".into() });
        };
        let ttl = Duration::from_secs(60);
        Ok(Read { origin, value: Some(Arc::new(value)), ttl, ends_near: true })
    }

    fn get(&self) -> Result<u64, Error> {
        match self.near.look(KEY, false) {
            Look::Hit(value) | Look::Due(value, _) => Ok(*value.unwrap()),
            Look::Lost(error) => Err(*error),
            Look::Turn => unreachable!("so many hits"),
            Look::Miss => {
                let filled =
                    shuttle::future::block_on(
                        self.near.fill(&self.gate, KEY, || async { self.ask() }),
                    )?;
                Ok(**filled.value().unwrap())
            }
        }
    }

    /// The read loop of a connection: frames in their order, until its end.
    fn read_on(&self) {
        loop {
            let mut state = self.server.state.lock().unwrap();
            let frame = loop {
                match state.1.pop_front() {
                    Some(frame) => break frame,
                    None => state = self.server.written.wait(state).unwrap(),
                }
            };
            drop(state);
            match frame {
                Frame::Answer(to, value) => _ = to.send(Some(value)),
                Frame::Changed => self.near.forget(KEY),
                Frame::Flushed => self.gate.forget_all(),
                Frame::End => return,
            }
        }
    }

    /// What is kept when all is over, and may be served, is what the server has.
    fn settle(&self) {
        let value = self.server.state.lock().unwrap().0;
        if let Some(kept) = self.near.view(KEY, |kept| **kept.unwrap()) {
            assert_eq!(kept, value, "stale for good");
        }
    }
}

fn spawn(world: &Arc<World>, run: impl FnOnce(&World) + Send + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || run(&world))
}

/// Two who read, one who writes: `push` says how that is announced.
fn fills_vs(push: fn() -> Frame) {
    explore(move || {
        let (world, _) = World::new();
        let connection = spawn(&world, World::read_on);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                spawn(&world, |world| {
                    let first = world.get().unwrap();
                    assert!(world.get().unwrap() >= first, "time went back");
                })
            })
            .collect();
        let writer = spawn(&world, move |world| {
            world.write(push);
            world.write(push);
        });
        for thread in readers.into_iter().chain([writer]) {
            thread.join().unwrap();
        }
        world.end();
        connection.join().unwrap();
        world.settle();
    });
}

#[test]
fn racy_fill_vs_push() {
    fills_vs(|| Frame::Changed);
}

#[test]
fn racy_fill_vs_flush() {
    fills_vs(|| Frame::Flushed);
}

/// A write of one's own, without a push: NOLOOP, or the time before it comes. Its caller forgets the key, and then sees it.
#[test]
fn racy_fill_vs_own_write() {
    explore(|| {
        let (world, _) = World::new();
        let connection = spawn(&world, World::read_on);
        let reader = spawn(&world, |world| {
            world.get().unwrap();
            world.get().unwrap();
        });
        let writer = spawn(&world, |world| {
            world.server.state.lock().unwrap().0 = 1;
            world.near.forget(KEY);
            assert_eq!(world.get().unwrap(), 1, "not its own write");
        });
        reader.join().unwrap();
        writer.join().unwrap();
        world.end();
        connection.join().unwrap();
        world.settle();
    });
}

/// The connection ends, the server is written to, and a new connection is made.
#[test]
fn racy_fill_vs_loss() {
    explore(|| {
        let (world, session) = World::new();
        let connection = spawn(&world, World::read_on);
        let reader = spawn(&world, |world| {
            for _ in 0..3 {
                match world.get() {
                    Ok(_) => {}
                    Err(error) => assert!(error.is_connection()),
                }
            }
        });
        let loss = spawn(&world, move |world| {
            // It ends: what is under way is lost.
            let mut state = world.server.state.lock().unwrap();
            state.2 = false;
            for frame in state.1.drain(..) {
                if let Frame::Answer(to, _) = frame {
                    _ = to.send(None);
                }
            }
            drop(state);
            world.gate.lose(session, "planned");
            world.write(|| unreachable!("nobody to tell"));
            // Connected again; the old read loop goes on with the new stream.
            let session = world.gate.next_session();
            world.server.state.lock().unwrap().2 = true;
            world.gate.connected(session);
            let seen = world.get().unwrap();
            assert_eq!(seen, 1, "read before the loss");
        });
        reader.join().unwrap();
        loss.join().unwrap();
        world.end();
        connection.join().unwrap();
        world.settle();
    });
}

#[test]
fn a_fill_is_kept() {
    explore(|| {
        let (world, _) = World::new();
        let connection = spawn(&world, World::read_on);
        assert_eq!(world.get().unwrap(), 0);
        assert_eq!(world.near.view(KEY, |kept| **kept.unwrap()), Some(0));
        world.end();
        connection.join().unwrap();
    });
}
