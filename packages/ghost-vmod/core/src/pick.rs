//! Choices, made with a random number that the caller brings.

/// Shares, to be picked from.
#[derive(Debug)]
pub struct Weights {
    total: u64,
    /// Ascending.
    sums: Box<[u64]>,
}

impl Weights {
    pub fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let mut total = 0;
        let sums = weights.into_iter().map(|weight| {
            total += weight;
            total
        });
        let sums = sums.collect();
        Self { total, sums }
    }

    /// The place of a share, each as likely as its weight says; None when no weight is above 0.
    pub fn pick(&self, random: u64) -> Option<usize> {
        match (self.total, self.sums.len()) {
            (0, _) => None,
            (_, 1) => Some(0),
            (total, _) => {
                let point = below(random, total);
                Some(self.sums.partition_point(|sum| *sum <= point))
            }
        }
    }
}

/// Of two places chosen at random the one with less load; None when there are none.
pub fn least_of_two(random: u64, places: usize, load: impl Fn(usize) -> u32) -> Option<usize> {
    let one = match places {
        0 => return None,
        1 => return Some(0),
        _ => half(random, places),
    };
    // Another place, each of the others as likely.
    let other = (one + 1 + half(random >> 32, places - 1)) % places;
    Some(if load(other) < load(one) { other } else { one })
}

fn half(random: u64, places: usize) -> usize {
    let bits = (random & 0xffff_ffff) << 32;
    usize::try_from(below(bits, places as u64)).unwrap_or(0)
}

/// A number below `end`, all of them equally likely.
fn below(random: u64, end: u64) -> u64 {
    u64::try_from((u128::from(random) * u128::from(end)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly spread numbers, mixed so that both halves vary.
    fn numbers() -> impl Iterator<Item = u64> {
        (0..10_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn shares_are_as_likely_as_their_weights() {
        let weights = Weights::new([70, 0, 30]);
        let mut counts = [0; 3];
        numbers().for_each(|random| counts[weights.pick(random).unwrap()] += 1);
        assert!((6900..7100).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[1], 0);
    }

    #[test]
    fn without_a_weight_there_is_nothing_to_pick() {
        assert_eq!(Weights::new([]).pick(1), None);
        assert_eq!(Weights::new([0, 0]).pick(u64::MAX), None);
        assert_eq!(Weights::new([0, 1]).pick(u64::MAX), Some(1));
        assert_eq!(Weights::new([0, 1]).pick(0), Some(1));
    }

    #[test]
    fn every_place_is_picked_when_all_are_idle() {
        let mut counts = [0; 3];
        numbers().for_each(|random| counts[least_of_two(random, 3, |_| 0).unwrap()] += 1);
        assert!(counts.iter().all(|count| (3000..3700).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_busiest_place_is_avoided() {
        assert!(numbers().all(|random| least_of_two(random, 2, |place| u32::from(place == 0)) == Some(1)));
        assert_eq!(least_of_two(7, 0, |_| 0), None);
        assert_eq!(least_of_two(7, 1, |_| 9), Some(0));
    }
}
