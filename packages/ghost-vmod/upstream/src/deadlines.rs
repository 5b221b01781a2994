//! How long each step of an exchange may take.

use std::time::{Duration, Instant};

use crate::{
    error::{Error, Stage},
    transport::{Client, Wait},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    pub connect: Duration,
    /// From the end of the request to the end of the answer's head.
    pub first_byte: Duration,
    /// Without any progress, of the request as of the answer.
    pub between_bytes: Duration,
    /// Of the whole exchange, body included; None: as long as it takes.
    pub total: Option<Duration>,
}

impl Default for Deadlines {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { connect: Duration::from_millis(3500), first_byte: minute, between_bytes: minute, total: None }
    }
}

/// The deadlines of one exchange, which has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub deadlines: Deadlines,
    pub started: Instant,
    total_at: Option<Instant>,
}

impl Clock {
    pub fn start(deadlines: Deadlines, now: Instant) -> Self {
        Self { deadlines, started: now, total_at: deadlines.total.map(|total| now + total) }
    }

    /// The patience that is left of a step's, by the exchange's total.
    pub fn patience(&self, of_step: Duration) -> Result<Duration, Error> {
        let Some(total_at) = self.total_at else {
            return Ok(of_step);
        };
        match total_at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left.min(of_step)),
            _ => Err(Error::Timeout(Stage::Total)),
        }
    }

    pub fn wait<'a>(&self, of_step: Duration, client: Option<&'a dyn Client>) -> Result<Wait<'a>, Error> {
        self.patience(of_step).map(|patience| Wait::For(patience, client))
    }

    /// What a step that ran out of patience was stopped by.
    pub fn timeout(&self, stage: Stage) -> Error {
        let is_over = self.total_at.is_some_and(|total_at| total_at <= Instant::now());
        Error::Timeout(if is_over { Stage::Total } else { stage })
    }
}
