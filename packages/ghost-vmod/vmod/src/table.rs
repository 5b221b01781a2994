//! The directors of one VCL for the configuration that it has seen last.

use std::{
    ffi::CString,
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use ghost_core::RuleId;

use crate::{
    context::Context, director::Director, graveyard, plan::Plan, route::Route, state, task::Routed,
    ways::fetch::Backends,
};

/// A plan with a director for each of its rules.
#[derive(Default)]
pub struct Table {
    pub plan: Option<Arc<Plan>>,
    /// By `RuleId`.
    directors: Vec<Director>,
}

impl Table {
    pub fn director(&self, id: RuleId) -> Option<&Director> {
        self.directors.get(id.0 as usize)
    }

    /// None while the VCL cools down.
    fn new(context: Context, plan: Arc<Plan>, backends: &Arc<Backends>) -> Option<Self> {
        let mut directors = Vec::with_capacity(plan.routing.rules().len());
        for (id, rule) in (0..).map(RuleId).zip(plan.routing.rules()) {
            let route = String::from_utf8_lossy(rule.header.value());
            let name = CString::new(format!("{route}.{}", rule.index)).unwrap_or_default();
            let routed = Some(Routed { plan: Arc::clone(&plan), id });
            directors.push(Route { routed, backends: Arc::clone(backends) }.director(context.raw(), &name)?);
        }
        Some(Self { plan: Some(plan), directors })
    }
}

/// A VCL's table, which follows the process's configuration.
pub struct Tables {
    table: ArcSwap<Table>,
    /// The version of the state that the table was made for.
    seen: AtomicU64,
    /// Held by the one who makes the next table.
    turn: Mutex<()>,
    backends: Arc<Backends>,
    /// For requests that have no route, so that they reach no backend whatever user VCL returns.
    nowhere: Director,
}

impl Tables {
    /// None when Varnish gives no director.
    pub fn new(context: Context) -> Option<Self> {
        let backends = Arc::new(Backends::new(context.raw())?);
        let nowhere = Route { routed: None, backends: Arc::clone(&backends) }.director(context.raw(), c"nowhere")?;
        let tables =
            Self { table: ArcSwap::default(), seen: AtomicU64::new(0), turn: Mutex::default(), backends, nowhere };
        tables.follow(context);
        Some(tables)
    }

    /// The table of the newest configuration; while another request makes it, the one before.
    pub fn newest(&self, context: Context) -> Guard<Arc<Table>> {
        if self.seen.load(Ordering::Acquire) != state::version() {
            let turn = match self.turn.try_lock() {
                Ok(turn) => Some(turn),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            if turn.is_some() {
                self.rebuild(context);
            }
        }
        self.table.load()
    }

    /// Returns when the newest configuration is in effect in this VCL.
    pub fn follow(&self, context: Context) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.rebuild(context);
    }

    pub fn nowhere(&self) -> &Director {
        &self.nowhere
    }

    /// Must be called by the one whose turn it is.
    fn rebuild(&self, context: Context) {
        let version = state::version();
        if self.seen.load(Ordering::Acquire) == version {
            return;
        }
        let plan = state::plan();
        if plan.as_ref().map(Arc::as_ptr) != self.table.load().plan.as_ref().map(Arc::as_ptr) {
            let table =
                plan.clone().map_or_else(|| Some(Table::default()), |plan| Table::new(context, plan, &self.backends));
            // A VCL that cools down keeps its table for the requests that are still with it.
            let Some(table) = table else {
                return context.log("no directors: the VCL cools down");
            };
            graveyard::bury(self.table.swap(Arc::new(table)));
        }
        self.backends.retain(|| plan.as_ref().map(|plan| plan.destinations()).unwrap_or_default());
        self.seen.store(version, Ordering::Release);
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        graveyard::bury(self.table.swap(Arc::default()));
        // Varnish expects the last director of a VCL to be gone when its objects are.
        graveyard::flush();
    }
}
