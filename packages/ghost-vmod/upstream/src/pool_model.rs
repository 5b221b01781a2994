//! The pool against a model of it: workers that take, fail, give back and wait, a reaper, and endpoints that go.

use std::{
    collections::{HashMap, HashSet},
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use crate::{
    connection::Connection,
    counters::Counters,
    pool::{Pool, PoolLimits},
    transport::{Transport, Wait, Written},
};

const LIMITS: PoolLimits = PoolLimits { idle: 3, idle_for: Duration::from_secs(10) };

/// A connection with a number, whose peer may hang up.
#[derive(Debug)]
struct Numbered {
    number: usize,
    is_open: Arc<AtomicBool>,
}

impl Transport for Numbered {
    fn read(&mut self, _: &mut [u8], _: Wait<'_>) -> io::Result<usize> {
        Ok(0)
    }

    fn write(&mut self, _: &[IoSlice<'_>], _: Duration) -> io::Result<Written> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn is_quiet(&mut self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// An exchange begins: on an idle connection, or on a new one.
    Take,
    /// The one that began first, of those under way, ends well.
    GiveBack {
        hint: Option<u64>,
    },
    /// It ends with an error.
    Fail,
    /// The peer of an idle connection hangs up, counted from the one that was used last.
    HangUp(usize),
    Wait(u64),
    Reap,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Take),
        6 => prop::option::of(0_u64..20).prop_map(|hint| Step::GiveBack { hint }),
        2 => Just(Step::Fail),
        2 => (0_usize..4).prop_map(Step::HangUp),
        2 => (1_u64..8).prop_map(Step::Wait),
        2 => Just(Step::Reap),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..80)
}

/// What the pool must do, said plainly.
#[derive(Default)]
struct Model {
    now: u64,
    is_closed: bool,
    /// Number and the second from which it is too old; the one that was used last is last.
    idle: Vec<(usize, u64)>,
    hung_up: HashSet<usize>,
}

impl Model {
    fn take(&mut self) -> Option<usize> {
        while let Some((number, until)) = self.idle.pop() {
            if self.now < until && !self.hung_up.contains(&number) {
                return Some(number);
            }
        }
        None
    }

    fn give_back(&mut self, number: usize, hint: Option<u64>) {
        if !self.is_closed && self.idle.len() < LIMITS.idle {
            self.idle.push((number, self.now + hint.unwrap_or(10).min(10)));
        }
    }
}

struct World {
    start: Instant,
    counters: Arc<Counters>,
    pool: Pool<Numbered>,
    model: Model,
    switches: HashMap<usize, Arc<AtomicBool>>,
    under_way: Vec<Connection<Numbered>>,
}

impl World {
    fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let pool = Pool::new(LIMITS, &counters);
        let (model, switches) = (Model::default(), HashMap::new());
        Self { start: Instant::now(), counters, pool, model, switches, under_way: Vec::new() }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.model.now)
    }

    fn connect(&mut self) -> Connection<Numbered> {
        let (number, is_open) = (self.switches.len(), Arc::new(AtomicBool::new(true)));
        self.switches.insert(number, Arc::clone(&is_open));
        Connection::new(Numbered { number, is_open }, &self.counters)
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Take => {
                let taken = self.pool.take(self.now());
                let expected = self.model.take();
                assert_eq!(taken.as_ref().map(|connection| connection.transport.number), expected);
                let connection = taken.unwrap_or_else(|| self.connect());
                assert_eq!(connection.is_reused, expected.is_some());
                self.under_way.push(connection);
            }
            Step::GiveBack { hint } if !self.under_way.is_empty() => {
                let connection = self.under_way.remove(0);
                self.model.give_back(connection.transport.number, *hint);
                self.pool.put(connection, hint.map(Duration::from_secs), self.now());
            }
            Step::Fail if !self.under_way.is_empty() => drop(self.under_way.remove(0)),
            Step::HangUp(place) => {
                if let Some((number, _)) = self.model.idle.iter().rev().nth(*place) {
                    self.switches[number].store(false, Ordering::Relaxed);
                    self.model.hung_up.insert(*number);
                }
            }
            Step::Wait(seconds) => self.model.now += seconds,
            Step::Reap => {
                self.pool.reap(self.now());
                let now = self.model.now;
                self.model.idle.retain(|(_, until)| now < *until);
            }
            Step::Close => {
                self.pool.close();
                self.model.is_closed = true;
                self.model.idle.clear();
            }
            Step::GiveBack { .. } | Step::Fail => {}
        }
        let open = usize::try_from(self.counters.opened.get() - self.counters.closed.get()).unwrap();
        assert_eq!(open, self.under_way.len() + self.model.idle.len(), "after {step:?}");
    }
}

proptest! {
    #[test]
    fn the_pool_does_what_the_model_does(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
    }
}

/// A connection that is taken is nobody else's, whatever the other threads do.
#[test]
fn no_connection_is_used_twice_at_a_time() {
    let counters = Arc::new(Counters::default());
    let pool = Pool::new(PoolLimits { idle: 4, ..LIMITS }, &counters);
    let users: Vec<AtomicUsize> = (0..64).map(|_| AtomicUsize::new(0)).collect();
    let next = AtomicUsize::new(0);
    let now = Instant::now();
    let work = |worker: usize| {
        for turn in 0..2000 {
            let connection = pool.take(now).or_else(|| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let is_open = Arc::new(AtomicBool::new(true));
                (number < users.len()).then(|| Connection::new(Numbered { number, is_open }, &counters))
            });
            let Some(connection) = connection else { continue };
            let user = &users[connection.transport.number];
            assert_eq!(user.fetch_add(1, Ordering::SeqCst), 0, "two have one connection");
            thread::yield_now();
            user.fetch_sub(1, Ordering::SeqCst);
            match (worker + turn) % 97 {
                0 => drop(connection),
                1 => pool.reap(now),
                _ => pool.put(connection, None, now),
            }
        }
    };
    thread::scope(|scope| (0..4).for_each(|worker| drop(scope.spawn(move || work(worker)))));
    pool.close();
    assert_eq!(counters.opened.get(), counters.closed.get());
}
