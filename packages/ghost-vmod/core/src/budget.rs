//! Who goes without where something shared does not suffice: the newest of who has most, so that nobody else notices.

use std::collections::{BTreeMap, BinaryHeap};

/// What somebody has of it.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    pub namespace: &'a str,
    pub cost: usize,
}

/// The places of those that go, until the rest is within the limit. `charges`: oldest first.
pub fn beyond(charges: &[Charge], limit: usize) -> Vec<usize> {
    let mut total: usize = charges.iter().map(|charge| charge.cost).sum();
    let mut gone = Vec::new();
    if total <= limit {
        return gone;
    }
    let mut by_namespace: BTreeMap<&str, (usize, Vec<usize>)> = BTreeMap::new();
    for (place, charge) in charges.iter().enumerate() {
        let (sum, places) = by_namespace.entry(charge.namespace).or_default();
        *sum += charge.cost;
        places.push(place);
    }
    let mut greediest: BinaryHeap<(usize, &str)> = by_namespace.iter().map(|(name, (sum, _))| (*sum, *name)).collect();
    while total > limit
        && let Some((sum, name)) = greediest.pop()
    {
        let Some(newest) = by_namespace.get_mut(name).and_then(|(_, places)| places.pop()) else { continue };
        total -= charges[newest].cost;
        greediest.push((sum - charges[newest].cost, name));
        gone.push(newest);
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(charges: &[(&'static str, usize)], limit: usize) -> Vec<usize> {
        let charges: Vec<_> = charges.iter().map(|(namespace, cost)| Charge { namespace, cost: *cost }).collect();
        beyond(&charges, limit)
    }

    #[test]
    fn what_fits_stays() {
        assert!(gone(&[("a", 5), ("b", 5)], 10).is_empty());
        assert!(gone(&[], 0).is_empty());
    }

    #[test]
    fn the_greediest_loses_its_newest_however_old_it_is() {
        assert_eq!(gone(&[("a", 4), ("a", 4), ("a", 4), ("b", 4)], 12), [2]);
        assert_eq!(gone(&[("a", 4), ("b", 1), ("a", 4), ("b", 1), ("a", 4)], 6), [4, 2]);
        assert_eq!(gone(&[("a", 9), ("b", 1)], 0), [0, 1]);
    }
}
