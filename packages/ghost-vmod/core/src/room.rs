//! How much filters may add to a head: varnishd has so much room beside what clients and backends may send.

use crate::{
    filter::{Field, Filters, HeaderEdit, PathRewrite},
    routing::{Action, Backend},
};

/// What four filters of the Gateway API can have, with sixteen fields to set and to add each: those of a rule and of a
/// backend.
const FIELDS: usize = 65;
/// The document of heads has both numbers, too: varnishd gets the room by them.
const BYTES: usize = 16 << 10;

/// Of one direction.
#[derive(Clone, Copy, Default)]
struct Added {
    fields: usize,
    bytes: usize,
}

impl Added {
    fn to_request(filters: &Filters) -> Self {
        let rewrite = filters.url_rewrite.as_ref();
        let host = rewrite.and_then(|rewrite| rewrite.host.as_ref());
        let path_bytes = rewrite.and_then(|rewrite| rewrite.path.as_ref()).map_or(0, |path| match path {
            PathRewrite::Full(value) | PathRewrite::Prefix { replacement: value, .. } => value.len(),
        });
        let added = Self::by(filters.request_headers.as_deref()).with(host);
        Self { bytes: added.bytes + path_bytes, ..added }
    }

    fn to_answer(filters: &Filters) -> Self {
        Self::by(filters.response_headers.as_deref())
    }

    fn by(edit: Option<&HeaderEdit>) -> Self {
        edit.map_or(Self::default(), |edit| {
            edit.set.iter().chain(&edit.add).fold(Self::default(), |all, field| all.with([field]))
        })
    }

    fn with<'a>(self, fields: impl IntoIterator<Item = &'a Field>) -> Self {
        fields
            .into_iter()
            .fold(self, |all, field| Self { fields: all.fields + 1, bytes: all.bytes + field.line().len() + 1 })
    }

    fn and(self, other: Self) -> Self {
        Self { fields: self.fields + other.fields, bytes: self.bytes + other.bytes }
    }

    fn is_too_much(self) -> bool {
        self.fields > FIELDS || self.bytes > BYTES
    }
}

/// Why a rule cannot be carried out: its filters, and those of one of its backends, add more than there is room for.
pub fn excess(filters: &Filters, action: &Action) -> Option<String> {
    let backends: &[Backend] = if let Action::Forward(forward) = action { &forward.backends } else { &[] };
    let is_too_much = |added: fn(&Filters) -> Added| {
        let of_rule = added(filters);
        of_rule.is_too_much() || backends.iter().any(|backend| of_rule.and(added(&backend.filters)).is_too_much())
    };
    let to = [("requests", is_too_much(Added::to_request)), ("answers", is_too_much(Added::to_answer))];
    let (what, _) = to.into_iter().find(|(_, is_too_much)| *is_too_much)?;
    Some(format!("filters add more than {FIELDS} fields or {BYTES} bytes to {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(fields: usize, value_bytes: usize) -> Filters {
        let set = (0..fields).map(|_| Field::new("x", &"v".repeat(value_bytes)).unwrap()).collect();
        Filters { request_headers: Some(Box::new(HeaderEdit { set, ..HeaderEdit::default() })), ..Filters::default() }
    }

    #[test]
    fn what_the_specification_allows_has_room() {
        assert_eq!(excess(&setting(65, 200), &Action::Refuse), None);
    }

    #[test]
    fn more_fields_or_bytes_have_not() {
        assert!(excess(&setting(66, 1), &Action::Refuse).unwrap().contains("to requests"));
        assert!(excess(&setting(16, 1100), &Action::Refuse).is_some());
    }
}
