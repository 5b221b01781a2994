//! ghost.json: an envelope around the routing, which stays text until it is known to have changed, and the endpoints.

use std::{collections::HashMap, fmt};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire;

/// The only version of the document that is understood.
const VERSION: u64 = 1;

/// Why a whole document is refused; the last good one stays.
#[derive(Debug)]
pub struct Refused(String);

impl Refused {
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    version: u64,
    #[serde(borrow)]
    routing: &'a RawValue,
    #[serde(default)]
    endpoints: HashMap<String, Vec<wire::Endpoint>>,
}

/// A parsed envelope.
pub struct Document<'a> {
    /// The routing, byte for byte: equal text needs no compiling again.
    pub routing: &'a str,
    /// Service key -> its endpoints.
    pub endpoints: HashMap<String, Vec<wire::Endpoint>>,
}

impl<'a> Document<'a> {
    pub fn parse(text: &'a [u8]) -> Result<Self, Refused> {
        let envelope: Envelope<'a> = serde_json::from_slice(text).map_err(|error| Refused(error.to_string()))?;
        if envelope.version != VERSION {
            return Err(Refused(format!("version {} is not {VERSION}", envelope.version)));
        }
        // The generated types keep an integer's kind, not its bounds.
        let mut ports = envelope.endpoints.values().flatten().map(|endpoint| endpoint.port.get());
        if let Some(port) = ports.find(|port| u16::try_from(*port).is_err()) {
            return Err(Refused(format!("{port} is no port")));
        }
        Ok(Self { routing: envelope.routing.get(), endpoints: envelope.endpoints })
    }
}
