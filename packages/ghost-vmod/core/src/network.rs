//! Networks whose peers are trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of both families, each its first and its last address; ascending, and none within another.
#[derive(Debug, Default)]
pub struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Adds a network in CIDR notation; bits after the prefix do not matter.
    pub fn insert(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("{text:?} is no network");
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let bits = number(bits).ok_or_else(wrong)?;
        match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) if bits <= 32 => self.insert_v4(address, bits),
            IpAddr::V6(address) if bits <= 128 => match address.to_ipv4_mapped() {
                Some(mapped) if bits >= 96 => self.insert_v4(mapped, bits - 96),
                _ => self.insert_v6(address, bits),
            },
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn insert_v4(&mut self, address: Ipv4Addr, bits: u32) {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        insert(&mut self.v4, (address.to_bits() & mask, address.to_bits() | !mask));
    }

    fn insert_v6(&mut self, address: Ipv6Addr, bits: u32) {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        insert(&mut self.v6, (address.to_bits() & mask, address.to_bits() | !mask));
    }

    /// An IPv4 address inside of IPv6 counts as IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => covers(&self.v4, address.to_bits()),
            IpAddr::V6(address) => covers(&self.v6, address.to_bits()),
        }
    }
}

/// Two networks are apart, or one is within the other.
fn insert<T: Ord + Copy>(networks: &mut Vec<(T, T)>, new: (T, T)) {
    if last_of(networks, new.0).is_some_and(|last| new.1 <= last) {
        return;
    }
    networks.retain(|(first, _)| !(new.0..=new.1).contains(first));
    networks.insert(networks.partition_point(|(first, _)| *first < new.0), new);
}

fn covers<T: Ord + Copy>(networks: &[(T, T)], address: T) -> bool {
    last_of(networks, address).is_some_and(|last| address <= last)
}

/// Of the only network that may hold the address.
fn last_of<T: Ord + Copy>(networks: &[(T, T)], address: T) -> Option<T> {
    let after = networks.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).map(|place| networks[place].1)
}

/// Digits only, where `parse` would take a sign.
fn number(digits: &str) -> Option<u32> {
    let is_plain = digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.1.2.3/8", "10.9.9.9", "9.1.2.3"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.1.2.3", "2001:db8::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("2001:db8::1/128", "2001:db8::1", "2001:db8::2"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.1", "11.0.0.1"),
        ] {
            let mut networks = Networks::default();
            networks.insert(network).unwrap();
            assert!(networks.contain(inside.parse().unwrap()), "{inside} is in {network}");
            assert!(!networks.contain(outside.parse().unwrap()), "{outside} is not in {network}");
        }
        assert!(!Networks::default().contain(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn networks_may_overlap_in_any_order() {
        let texts = [
            "10.1.0.0/16",
            "10.0.0.0/8",
            "10.1.2.0/24",
            "192.0.2.0/25",
            "192.0.2.128/25",
            "9.0.0.0/8",
            "10.0.0.0/10",
            "10.192.0.0/10",
        ];
        for turn in 0..texts.len() {
            let mut networks = Networks::default();
            for text in texts.iter().cycle().skip(turn).take(texts.len()) {
                networks.insert(text).unwrap();
            }
            for inside in
                ["10.0.0.0", "10.1.2.3", "10.128.0.0", "10.255.255.255", "192.0.2.127", "192.0.2.128", "9.0.0.0"]
            {
                assert!(networks.contain(inside.parse().unwrap()), "{inside}");
            }
            for outside in ["8.255.255.255", "11.0.0.0", "192.0.1.255", "192.0.3.0", "255.255.255.255", "0.0.0.0"] {
                assert!(!networks.contain(outside.parse().unwrap()), "{outside}");
            }
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0/8", "::/129", "a/8", "any"]
        {
            assert!(Networks::default().insert(text).is_err(), "{text:?}");
        }
    }
}
