//! What this process runs: one configuration for every VCL that is loaded.

use std::{
    env, fs,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use arc_swap::ArcSwap;
use ghost_core::{Broken, Compiler, Document, Unusable, heads::HeadLimits};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{exchange::upstreams, graveyard, plan::Plan};

/// The folder that the supervisor and ghost share.
const FOLDER: &str = "VARNISH_GATEWAY_GHOST_FOLDER";
/// How large heads may be, as JSON: the supervisor gives varnishd limits above these.
const HEAD_LIMITS: &str = "VARNISH_GATEWAY_GHOST_HEAD_LIMITS";
/// The configuration that a fresh process begins with.
pub const LAST_GOOD: &str = "ghost.json";
/// The configuration that a reload takes.
pub const CANDIDATE: &str = "ghost.candidate.json";
/// More than ten thousand routes take by far; a larger file is not even read.
const DOCUMENT_BYTES: u64 = 256 << 20;
/// Parsing and compiling recurse; a worker's own stack is small.
const STACK_BYTES: usize = 16 << 20;

/// What is said about a configuration.
#[derive(Clone, Default, Serialize)]
pub struct Summary {
    /// SHA-256 of the document's bytes; empty before the first.
    pub digest: String,
    pub rules: usize,
    pub endpoints: usize,
    pub broken: Vec<Broken>,
    /// Endpoints that get no request, whatever their state.
    pub unusable: Vec<Unusable>,
}

#[derive(Default)]
pub struct Current {
    pub plan: Option<Arc<Plan>>,
    pub summary: Summary,
    /// Why the last attempt to load was refused.
    pub error: Option<String>,
}

static CURRENT: LazyLock<ArcSwap<Current>> = LazyLock::new(ArcSwap::default);
/// Changes with `CURRENT`, and is cheaper to look at.
static VERSION: AtomicU64 = AtomicU64::new(1);
static LOADER: LazyLock<Mutex<Loader>> = LazyLock::new(Mutex::default);
pub static IS_DRAINING: AtomicBool = AtomicBool::new(false);

/// Those of this process; the defaults where nobody says, or says what nobody understands.
pub fn head_limits() -> &'static HeadLimits {
    static LIMITS: LazyLock<HeadLimits> = LazyLock::new(|| {
        let said = env::var(HEAD_LIMITS).ok();
        said.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    });
    &LIMITS
}

pub fn version() -> u64 {
    VERSION.load(Ordering::Acquire)
}

pub fn current() -> Arc<Current> {
    CURRENT.load_full()
}

pub fn plan() -> Option<Arc<Plan>> {
    CURRENT.load().plan.clone()
}

/// Reads the last good configuration, unless there is one already.
pub fn begin() {
    let mut loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    if current().plan.is_none() {
        _ = loader.load(LAST_GOOD);
    }
}

/// Takes the candidate, or says why not and changes nothing.
pub fn reload() -> Result<Summary, String> {
    LOADER.lock().unwrap_or_else(PoisonError::into_inner).load(CANDIDATE)
}

#[derive(Default)]
struct Loader {
    compiler: Compiler,
    /// Of the routing that the current plan was compiled from.
    routing: Option<[u8; 32]>,
}

impl Loader {
    fn load(&mut self, file: &str) -> Result<Summary, String> {
        let before = current();
        let outcome = read(file).and_then(|text| {
            let before = Arc::clone(&before);
            on_large_stack(|| self.take(&text, &before))
        });
        match outcome {
            Ok(next) => {
                let (summary, plan) = (next.summary.clone(), next.plan.clone());
                publish(next);
                if let Some(plan) = plan {
                    upstreams::forget_others(&plan);
                }
                Ok(summary)
            }
            Err(error) => {
                let (plan, summary) = (before.plan.clone(), before.summary.clone());
                publish(Current { plan, summary, error: Some(error.clone()) });
                Err(error)
            }
        }
    }

    /// The same routing as before keeps what was compiled, and only the endpoints are replaced.
    fn take(&mut self, text: &[u8], before: &Current) -> Result<Current, String> {
        let document = Document::parse(text).map_err(|refused| refused.to_string())?;
        let routing: [u8; 32] = Sha256::digest(document.routing).into();
        let endpoints = document.endpoints.values().map(Vec::len).sum();
        let (plan, broken, unusable) = match &before.plan {
            Some(plan) if self.routing == Some(routing) => {
                let unusable = plan.replace_endpoints(&document.endpoints);
                (Arc::clone(plan), before.summary.broken.clone(), unusable)
            }
            known => {
                let (routing, broken) =
                    self.compiler.compile(document.routing).map_err(|refused| refused.to_string())?;
                let (plan, unusable) = Plan::new(routing, &document.endpoints, known.as_deref());
                (Arc::new(plan), broken, unusable)
            }
        };
        self.routing = Some(routing);
        let rules = plan.routing.rules().len();
        let summary = Summary { digest: hexadecimal(&Sha256::digest(text)), rules, endpoints, broken, unusable };
        Ok(Current { plan: Some(plan), summary, error: None })
    }
}

fn publish(next: Current) {
    let before = CURRENT.swap(Arc::new(next));
    VERSION.fetch_add(1, Ordering::AcqRel);
    graveyard::bury(before);
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    let folder = env::var_os(FOLDER).ok_or_else(|| format!("{FOLDER} is not set"))?;
    let path = PathBuf::from(folder).join(file);
    let bytes = fs::metadata(&path).map_err(|error| format!("{file}: {error}"))?.len();
    if bytes > DOCUMENT_BYTES {
        return Err(format!("{file}: {bytes} bytes are more than {DOCUMENT_BYTES}"));
    }
    fs::read(path).map_err(|error| format!("{file}: {error}"))
}

/// Joining also turns a panic into an error.
fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("ghost-compile".into()).stack_size(STACK_BYTES);
        let worker = builder.spawn_scoped(scope, work).map_err(|error| error.to_string())?;
        worker.join().unwrap_or_else(|_| Err("a bug in ghost: compiling panicked".to_owned()))
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
