//! Which rules may have their expressions: each costs memory for as long as it stands, and requests time.
//!
//! An expression costs a request at most one step for each byte that it looks at. So what one request can meet is bounded
//! by how many matches with expressions its path can lead to.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::{
    budget::{Charge, beyond},
    expression::{AUTOMATON_BYTES, Expression, TOO_LARGE},
    wire,
};

type Map<K, V> = HashMap<K, V, RandomState>;
type Set<K> = HashSet<K, RandomState>;

/// What an expression costs at least, whatever it is.
const LEAST_BYTES: usize = 512;

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the automata of a route, of a namespace, and of all.
    pub route_bytes: usize,
    pub namespace_bytes: usize,
    pub all_bytes: usize,
    /// Matches with expressions that one path can lead to, for a hostname of a listener.
    pub met: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { route_bytes: 4 << 20, namespace_bytes: 16 << 20, all_bytes: 64 << 20, met: 256 }
    }
}

/// What came of an expression, also of one that is not served: so it is not compiled for each document again.
#[derive(Clone, Debug)]
pub enum Tried {
    Compiled(Expression),
    /// Compiled and given back: its bytes.
    Refused(usize),
    Wrong(String),
}

impl Tried {
    fn new(pattern: &str) -> Self {
        Expression::compile(pattern).map_or_else(Self::Wrong, Self::Compiled)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Compiled(expression) => expression.bytes().max(LEAST_BYTES),
            Self::Refused(bytes) => *bytes,
            Self::Wrong(reason) if reason == TOO_LARGE => AUTOMATON_BYTES,
            Self::Wrong(_) => LEAST_BYTES,
        }
    }
}

/// The expressions of a document, and the rules that go without.
#[derive(Debug, Default)]
pub struct Admission {
    pub tried: Map<String, Tried>,
    /// Place of a rule -> why.
    pub refused: Map<usize, &'static str>,
}

/// A rule with expressions.
struct Candidate<'a> {
    place: usize,
    route: &'a str,
    namespace: &'a str,
    cost: usize,
}

pub fn admit(wired: &wire::Routing, known: &Map<String, Tried>, limits: &Limits) -> Admission {
    let mut admission = Admission::default();
    let mut candidates = candidates(wired);
    admission.charge(wired, known, limits, &mut candidates);
    candidates.retain(|each| !admission.refused.contains_key(&each.place));
    let charges: Vec<_> = candidates.iter().map(|each| Charge { namespace: each.namespace, cost: each.cost }).collect();
    for place in beyond(&charges, limits.all_bytes) {
        admission.refused.insert(candidates[place].place, "the expressions of all namespaces together take too much");
    }
    admission.bound_hosts(wired, limits, &candidates);
    admission.give_back(wired, &candidates);
    admission
}

/// Oldest route first; those of whose age nothing is said last.
fn candidates(wired: &wire::Routing) -> Vec<Candidate<'_>> {
    let ages: Map<&str, usize> =
        wired.expression_routes.iter().enumerate().map(|(age, route)| (route.as_str(), age)).collect();
    let with_expressions = wired.rules.iter().enumerate().filter(|(_, rule)| patterns(&rule.match_).next().is_some());
    let mut found: Vec<_> = with_expressions.map(|(place, rule)| candidate(place, &rule.route)).collect();
    found.sort_by_key(|each| (ages.get(each.route).copied().unwrap_or(usize::MAX), each.route, each.place));
    found
}

fn candidate(place: usize, route: &str) -> Candidate<'_> {
    Candidate { place, route, namespace: route.split('/').next().unwrap_or_default(), cost: 0 }
}

/// The expressions of a match.
fn patterns(wired: &wire::Match) -> impl Iterator<Item = &str> {
    let path = (wired.path.type_ == wire::PathMatchType::RegularExpression).then_some(wired.path.value.as_str());
    let values = wired.headers.iter().chain(&wired.query_parameters);
    let values = values.filter(|value| value.type_ == wire::ValueMatchType::RegularExpression);
    path.into_iter().chain(values.map(|value| value.value.as_str()))
}

impl Admission {
    /// What each rule adds to what its namespace has: one expression in many rules is there once.
    fn charge<'a>(
        &mut self,
        wired: &'a wire::Routing,
        known: &Map<String, Tried>,
        limits: &Limits,
        candidates: &mut [Candidate<'a>],
    ) {
        let mut charged: Set<(&str, &str)> = Set::default();
        let mut namespaces: Map<&str, (usize, usize)> = Map::default();
        let mut routes: Map<&str, usize> = Map::default();
        for each in candidates {
            let (used, looked_at) = namespaces.entry(each.namespace).or_default();
            let of_route = routes.entry(each.route).or_default();
            let new: Set<&str> = patterns(&wired.rules[each.place].match_)
                .filter(|pattern| !charged.contains(&(each.namespace, *pattern)))
                .collect();
            if *looked_at > 2 * limits.namespace_bytes && !new.is_empty() {
                self.refused.insert(each.place, "the expressions of its namespace take too much");
                continue;
            }
            each.cost = new.iter().map(|pattern| self.try_out(pattern, known)).sum();
            *looked_at += each.cost;
            if *of_route + each.cost > limits.route_bytes {
                self.refused.insert(each.place, "the expressions of its route take too much");
            } else if *used + each.cost > limits.namespace_bytes {
                self.refused.insert(each.place, "the expressions of its namespace take too much");
            } else {
                *used += each.cost;
                *of_route += each.cost;
                charged.extend(new.into_iter().map(|pattern| (each.namespace, pattern)));
            }
        }
    }

    fn try_out(&mut self, pattern: &str, known: &Map<String, Tried>) -> usize {
        if let Some(tried) = self.tried.get(pattern) {
            return tried.bytes();
        }
        let tried = known.get(pattern).cloned().unwrap_or_else(|| Tried::new(pattern));
        let bytes = tried.bytes();
        self.tried.insert(pattern.to_owned(), tried);
        bytes
    }

    fn bound_hosts(&mut self, wired: &wire::Routing, limits: &Limits, candidates: &[Candidate]) {
        let by_place: Map<usize, usize> =
            candidates.iter().enumerate().map(|(order, each)| (each.place, order)).collect();
        let listeners = wired.sockets.iter().flat_map(|socket| &*socket.listeners);
        for host in listeners.flat_map(|listener| &*listener.hosts) {
            let places = host.rules.iter().filter_map(|place| usize::try_from(*place).ok());
            let orders: Vec<usize> = places.filter_map(|place| by_place.get(&place).copied()).collect();
            while let Some(led_to) = self.crowd(wired, limits, candidates, &orders) {
                let charges: Vec<_> =
                    led_to.iter().map(|order| Charge { namespace: candidates[*order].namespace, cost: 1 }).collect();
                for place in beyond(&charges, limits.met) {
                    let refused = candidates[led_to[place]].place;
                    self.refused.insert(refused, "one request to its hostname would meet too many expressions");
                }
            }
        }
    }

    /// The most candidates that one path leads to, where they are more than there may be; oldest first.
    fn crowd(
        &self,
        wired: &wire::Routing,
        limits: &Limits,
        candidates: &[Candidate],
        orders: &[usize],
    ) -> Option<Vec<usize>> {
        let standing = orders.iter().filter(|order| !self.refused.contains_key(&candidates[**order].place));
        let mut places: Vec<(&[u8], usize)> =
            standing.map(|order| (self.place(&wired.rules[candidates[*order].place].match_.path), *order)).collect();
        if places.len() <= limits.met {
            return None;
        }
        places.sort_unstable();
        let mut most = longest_chain(&places);
        most.sort_unstable();
        (most.len() > limits.met).then_some(most)
    }

    /// What the paths begin with that lead to a match: on others it costs next to nothing.
    fn place<'a>(&'a self, path: &'a wire::PathMatch) -> &'a [u8] {
        if path.type_ != wire::PathMatchType::RegularExpression {
            return path.value.trim_end_matches('/').as_bytes();
        }
        match self.tried.get(&path.value) {
            Some(Tried::Compiled(expression)) => expression.prefix(),
            _ => b"",
        }
    }

    /// Keeps no automaton that no rule has; makes those anew that were given back and fit now.
    fn give_back(&mut self, wired: &wire::Routing, candidates: &[Candidate]) {
        let standing = candidates.iter().filter(|each| !self.refused.contains_key(&each.place));
        let wanted: Set<&str> = standing.flat_map(|each| patterns(&wired.rules[each.place].match_)).collect();
        for (pattern, tried) in &mut self.tried {
            let is_wanted = wanted.contains(pattern.as_str());
            match tried {
                Tried::Compiled(_) if !is_wanted => *tried = Tried::Refused(tried.bytes()),
                Tried::Refused(_) if is_wanted => *tried = Tried::new(pattern),
                _ => {}
            }
        }
    }
}

/// Of sorted places, the most of which each begins with the one before.
fn longest_chain(places: &[(&[u8], usize)]) -> Vec<usize> {
    let (mut longest, mut leading): (Vec<usize>, Vec<(&[u8], usize)>) = (Vec::new(), Vec::new());
    for (place, (name, order)) in places.iter().enumerate() {
        while leading.last().is_some_and(|(before, _)| !name.starts_with(before)) {
            leading.pop();
        }
        leading.push((name, *order));
        let is_end = places.get(place + 1).is_none_or(|(next, _)| !next.starts_with(name));
        if is_end && leading.len() > longest.len() {
            longest = leading.iter().map(|(_, order)| *order).collect();
        }
    }
    longest
}
