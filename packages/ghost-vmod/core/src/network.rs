//! Networks whose peers are trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of both families, each an address and its mask.
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
        self.v4.push((address.to_bits() & mask, mask));
    }

    fn insert_v6(&mut self, address: Ipv6Addr, bits: u32) {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        self.v6.push((address.to_bits() & mask, mask));
    }

    /// An IPv4 address inside of IPv6 counts as IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.iter().any(|(network, mask)| address.to_bits() & mask == *network),
            IpAddr::V6(address) => self.v6.iter().any(|(network, mask)| address.to_bits() & mask == *network),
        }
    }
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
    fn what_is_no_network_is_refused() {
        for text in ["", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0/8", "::/129", "a/8", "any"]
        {
            assert!(Networks::default().insert(text).is_err(), "{text:?}");
        }
    }
}
