//! Which request goes where: the part of ghost that knows nothing of Varnish.
//!
//! ```text
//!  ghost.json --parse--> Document --compile--> Routing                          (once a reload)
//!
//!  Routing
//!   |- trusted: Networks                                                      (whose X-Forwarded-* stay)
//!   |- sockets: name -> Socket --hostname--> Listener --hostname--> PathIndex   (HostIndex, twice)
//!   |                                                               |  exact, elements, expressions
//!   |- rules: [Rule]  <------------- RuleId, ascending = precedence-+
//!   |          |- conditions (method, headers, query)
//!   |          |- filters
//!   |          '- action: Forward [Backend --ServiceId--] | Redirect | Refuse
//!   '- services: [key]                         |
//!                                              v
//!  Document.endpoints: key -> [Endpoint]   EndpointSet, swapped without touching the Routing
//!
//!  request --normalise--> Target, Host, server name --decide--> Verdict --share, filter, redirect--> what is sent   (pure)
//!  Tries --next--> Endpoint --failed--> Tries                                                 (of one request, pure)
//! ```

#![forbid(unsafe_code)]

mod admission;
pub mod attempt;
pub mod backoff;
mod budget;
pub mod compile;
pub mod document;
pub mod endpoint;
pub mod expression;
pub mod filter;
pub mod forwarded;
#[doc(hidden)]
pub mod fuzzing;
pub mod header_name;
pub mod heads;
pub mod host;
pub mod key;
pub mod matcher;
pub mod network;
pub mod normalise;
pub mod own_answer;
pub mod path;
pub mod pick;
pub mod query;
pub mod redirect;
pub mod request;
pub mod room;
pub mod routing;
pub mod verdict;
pub mod wire;

pub use compile::{Broken, Compiler};
pub use document::Document;
pub use endpoint::Unusable;
pub use routing::{Action, Routing, Rule, RuleId, ServiceId};
pub use verdict::{Connection, Verdict};
