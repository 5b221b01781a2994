//! The ways in which a request reaches a backend, and its answer the client: how Varnish gets what an exchange comes to.

pub mod direct;
pub mod fetch;
pub mod tunnel;
pub mod upgrade;
