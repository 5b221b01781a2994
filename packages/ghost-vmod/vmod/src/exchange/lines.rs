//! Fields that are ours to change before anybody gets them.

use std::borrow::Cow;

use ghost_core::filter::{EditFields, Field};

use crate::message::value_of;

/// Each `Name: value`, in their order.
pub struct Lines<'a>(pub Vec<Cow<'a, [u8]>>);

impl EditFields for Lines<'_> {
    fn remove(&mut self, name: &[u8]) {
        self.0.retain(|line| value_of(line, name).is_none());
    }

    fn add(&mut self, field: &Field) {
        self.0.push(Cow::Owned(field.line()[..field.line().len() - 1].to_vec()));
    }
}
