//! What is kept under hostnames: exact ones, wildcards, and the empty one that covers any host.

use std::collections::HashMap;

use foldhash::fast::RandomState;

type Map<T> = HashMap<Box<[u8]>, T, RandomState>;

/// Values by hostname; finding one costs the same for any number of hostnames.
#[derive(Debug)]
pub struct HostIndex<T> {
    exact: Map<T>,
    /// `*.example.com` under `.example.com`.
    wildcards: Map<T>,
    any: Option<T>,
}

impl<T> Default for HostIndex<T> {
    fn default() -> Self {
        Self { exact: Map::default(), wildcards: Map::default(), any: None }
    }
}

impl<T> HostIndex<T> {
    /// The first of two equal hostnames stays.
    pub fn insert(&mut self, hostname: &str, value: T) {
        let hostname = hostname.to_ascii_lowercase();
        match hostname.strip_prefix('*') {
            _ if hostname.is_empty() => _ = self.any.get_or_insert(value),
            Some(suffix) => _ = self.wildcards.entry(suffix.as_bytes().into()).or_insert(value),
            None => _ = self.exact.entry(hostname.as_bytes().into()).or_insert(value),
        }
    }

    /// Everything that covers the host, the most specific first: exact, the longest wildcard, ..., any.
    ///
    /// `host` is in lower case; without a host only `any` covers.
    pub fn covering<'a>(&'a self, host: Option<&'a [u8]>) -> impl Iterator<Item = &'a T> {
        let exact = host.and_then(|host| self.exact.get(host));
        let wildcards = host.filter(|_| !self.wildcards.is_empty()).into_iter().flat_map(suffixes);
        exact.into_iter().chain(wildcards.filter_map(|suffix| self.wildcards.get(suffix))).chain(&self.any)
    }

    /// The most specific.
    pub fn find<'a>(&'a self, host: Option<&'a [u8]>) -> Option<&'a T> {
        self.covering(host).next()
    }
}

/// `a.b.c` -> `.b.c`, `.c`: a wildcard stands for one label or more.
fn suffixes(host: &[u8]) -> impl Iterator<Item = &[u8]> {
    host.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'.').map(|(place, _)| &host[place..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covering(index: &HostIndex<u8>, host: Option<&str>) -> Vec<u8> {
        index.covering(host.map(str::as_bytes)).copied().collect()
    }

    #[test]
    fn the_most_specific_hostname_comes_first() {
        let mut index = HostIndex::default();
        for (value, hostname) in ["", "*.test", "*.a.test", "x.a.test"].iter().enumerate() {
            index.insert(hostname, u8::try_from(value).unwrap());
        }
        assert_eq!(covering(&index, Some("x.a.test")), [3, 2, 1, 0]);
        assert_eq!(covering(&index, Some("y.x.a.test")), [2, 1, 0]);
        assert_eq!(covering(&index, Some("a.test")), [1, 0]);
        assert_eq!(covering(&index, Some("test")), [0]);
        assert_eq!(covering(&index, Some(".test")), [0]);
        assert_eq!(covering(&index, None), [0]);
    }

    #[test]
    fn hostnames_are_stored_in_lower_case_and_the_first_stays() {
        let mut index = HostIndex::default();
        index.insert("A.Test", 1);
        index.insert("a.test", 2);
        assert_eq!(index.find(Some(b"a.test")), Some(&1));
        assert_eq!(index.find(Some(b"b.test")), None);
    }
}
