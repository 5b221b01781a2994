//! The rules of one hostname by path: few of them one by one; of many, exact paths by hash, prefixes by their elements,
//! expressions one by one.

use std::{borrow::Cow, collections::HashMap};

use foldhash::fast::RandomState;

use crate::{expression::Expression, normalise::unescape, routing::RuleId};

type Map<T> = HashMap<Box<[u8]>, T, RandomState>;

/// How a rule's path is matched.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// Byte for byte, in the form of a request's path.
    Exact(Box<[u8]>),
    /// By whole elements; kept without the trailing slash, so that the root is empty.
    Prefix(Box<[u8]>),
    Expression(Expression),
    /// A condition that did not compile and tells of no place: nothing can be said to match it.
    Nowhere,
}

impl PathMatch {
    pub fn exact(value: &str) -> Self {
        Self::Exact((*normal(value)).into())
    }

    pub fn prefix(value: &str) -> Self {
        Self::Prefix((*normal(value.strip_suffix('/').unwrap_or(value))).into())
    }

    fn holds(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *path,
            Self::Prefix(prefix) => path.strip_prefix(&**prefix).is_some_and(|rest| matches!(rest, [] | [b'/', ..])),
            Self::Expression(expression) => expression.is_match(path),
            Self::Nowhere => false,
        }
    }
}

/// As the paths of requests are spelled; what no request can ask for stays as it is.
fn normal(value: &str) -> Cow<'_, [u8]> {
    unescape(value.as_bytes()).unwrap_or(Cow::Borrowed(value.as_bytes()))
}

/// So many rules are asked one after the other sooner than a tree is climbed, which is spread over the memory.
const FEW: usize = 8;

/// Finds the first rule in the order of precedence, that is the smallest id, whatever the kinds of the paths are.
#[derive(Debug)]
pub enum PathIndex {
    /// Ascending.
    Few(Vec<(RuleId, PathMatch)>),
    Many(Box<Tree>),
}

impl Default for PathIndex {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl PathIndex {
    /// Ids must be inserted in ascending order.
    pub fn insert(&mut self, id: RuleId, path: &PathMatch) {
        match self {
            Self::Few(rules) if rules.len() < FEW => rules.push((id, path.clone())),
            Self::Few(rules) => {
                let mut tree = Tree::default();
                for (id, path) in rules {
                    tree.insert(*id, path);
                }
                tree.insert(id, path);
                *self = Self::Many(tree.into());
            }
            Self::Many(tree) => tree.insert(id, path),
        }
    }

    /// The first rule whose path matches and for which `holds` does; `path` has no query.
    pub fn find(&self, path: &[u8], mut holds: impl FnMut(RuleId) -> bool) -> Option<RuleId> {
        match self {
            Self::Few(rules) => rules.iter().find(|(id, wanted)| wanted.holds(path) && holds(*id)).map(|(id, _)| *id),
            Self::Many(tree) => tree.find(path, holds),
        }
    }
}

/// The index of many rules.
#[derive(Debug)]
pub struct Tree {
    exact: Map<Vec<RuleId>>,
    expressions: Vec<(RuleId, Expression)>,
    /// A tree of path elements; the root is the first.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    parent: Option<usize>,
    children: Map<usize>,
    /// Ascending: the rules whose prefix ends here.
    rules: Vec<RuleId>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { exact: Map::default(), expressions: Vec::new(), nodes: vec![Node::default()] }
    }
}

impl Tree {
    fn insert(&mut self, id: RuleId, path: &PathMatch) {
        match path {
            PathMatch::Exact(value) => self.exact.entry(value.clone()).or_default().push(id),
            PathMatch::Prefix(value) => {
                let node = self.plant(value);
                self.nodes[node].rules.push(id);
            }
            PathMatch::Expression(expression) => self.expressions.push((id, expression.clone())),
            PathMatch::Nowhere => {}
        }
    }

    fn plant(&mut self, prefix: &[u8]) -> usize {
        let mut place = 0;
        for element in elements(prefix) {
            let next = self.nodes.len();
            let child = *self.nodes[place].children.entry(element.into()).or_insert(next);
            if child == next {
                self.nodes.push(Node { parent: Some(place), ..Node::default() });
            }
            place = child;
        }
        place
    }

    fn find(&self, path: &[u8], mut holds: impl FnMut(RuleId) -> bool) -> Option<RuleId> {
        let mut first = None;
        if !self.exact.is_empty() {
            first = earliest(first, self.exact.get(path).map_or(&[], Vec::as_slice), &mut holds);
        }
        for (id, expression) in &self.expressions {
            if first.is_some_and(|first| first < *id) {
                break;
            }
            if expression.is_match(path) && holds(*id) {
                first = Some(*id);
            }
        }
        // Upwards from the longest prefix; `OPTIONS *` is below no prefix.
        let mut node = path.starts_with(b"/").then(|| self.deepest(path));
        while let Some(Node { rules, parent, .. }) = node {
            first = earliest(first, rules, &mut holds);
            node = parent.map(|place| &self.nodes[place]);
        }
        first
    }

    fn deepest(&self, path: &[u8]) -> &Node {
        let mut node = &self.nodes[0];
        for element in elements(path) {
            if node.children.is_empty() {
                break;
            }
            match node.children.get(element) {
                Some(place) => node = &self.nodes[*place],
                None => break,
            }
        }
        node
    }
}

/// The smallest id that holds and comes before `first`; ids are ascending, so the rest need not be asked.
fn earliest(first: Option<RuleId>, ids: &[RuleId], mut holds: impl FnMut(RuleId) -> bool) -> Option<RuleId> {
    ids.iter().copied().take_while(|id| first.is_none_or(|first| *id < first)).find(|id| holds(*id)).or(first)
}

/// `/a//b/` -> `a`, ``, `b`, ``; the empty path has none.
fn elements(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').skip(1)
}
