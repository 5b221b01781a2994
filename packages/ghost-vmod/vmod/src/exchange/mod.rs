//! What every exchange with a backend needs: its connections, its deadlines, and the client that waits for it.

pub mod timeouts;
pub mod upstreams;
pub mod waiting;
