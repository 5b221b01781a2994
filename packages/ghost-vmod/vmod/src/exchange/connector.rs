//! How a connection to an endpoint is made: the one place that knows.

use std::{io, time::Duration};

use ghost_core::endpoint::Destination;
use ghost_upstream::{Connect, Tcp, TcpConnect};

pub struct Connector;

pub type Response = ghost_upstream::Response<Connector>;

impl Connect for Connector {
    type Transport = Tcp;
    type Destination = Destination;

    fn connect(&self, to: &Destination, patience: Duration) -> io::Result<Tcp> {
        TcpConnect.connect(&to.address, patience)
    }
}
