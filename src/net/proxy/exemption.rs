//! Which hosts are reached without the environment's proxy: the list in `NO_PROXY`.

use std::net::IpAddr;

/// The entry of `list`, as `NO_PROXY` has it, that the host and port fall under.
pub(super) fn exempting<'a>(host: &str, port: u16, list: &'a str) -> Option<&'a str> {
    let host = host.trim_end_matches('.');
    let address = host.parse::<IpAddr>().ok();
    let entries = list
        .split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty());
    let mut matching = entries.filter(|entry| {
        let entry = entry.trim_end_matches('.').to_ascii_lowercase();
        matches(&entry, host, address, port)
    });
    matching.next()
}

fn matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some(address) = address {
        if let Some((network, bits)) = entry.split_once('/') {
            let network = network.parse().ok().zip(bits.parse().ok());
            return network.is_some_and(|(network, bits)| is_within(address, network, bits));
        }
        if let Ok(entry) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
            return entry == address;
        }
    }
    let (name, entry_port) = match entry.rsplit_once(':') {
        Some((name, digits)) => match digits.parse::<u16>() {
            Ok(port) => (name.trim_matches(['[', ']']), Some(port)),
            Err(_) => (entry, None),
        },
        None => (entry, None),
    };
    if entry_port.is_some_and(|entry_port| entry_port != port) {
        return false;
    }
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    let is_below = || {
        let above = host.strip_suffix(name);
        address.is_none() && above.is_some_and(|above| above.ends_with('.'))
    };
    !name.is_empty() && (host == name || is_below())
}

/// Whether the first `bits` of the two are the same.
fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, size: u32| {
        bits <= size && (a ^ b).checked_shr(size - bits).unwrap_or(0) == 0
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            same(address.to_bits().into(), network.to_bits().into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            same(address.to_bits(), network.to_bits(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::exempting;

    #[test]
    fn entries() {
        for (host, list, exempt) in [
            ("a.example", "", false),
            ("localhost", "", false),
            ("localhost", "localhost,127.0.0.0/8,::1", true),
            ("127.0.0.2", "localhost,127.0.0.0/8,::1", true),
            ("::1", "localhost,127.0.0.0/8,::1", true),
            ("a.example", "*", true),
            ("a.example", "b.example, A.example", true),
            ("a.b.example", "b.example", true),
            ("a.b.example", ".b.example", true),
            ("a.b.example", "*.b.example", true),
            ("ab.example", "b.example", false),
            ("b.example.net", "b.example", false),
            ("b.example", "a.b.example", false),
            ("b.example.", "b.example", true),
            ("b.example", "b.example.", true),
            ("a.example", "a.example:443", true),
            ("a.example", "a.example:80", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "2.3", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.0.0.0/33", false),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("2001:db8::1", "[2001:db8::1]:443", true),
            ("2001:db9::1", "2001:db8::/32", false),
            ("10.1.2.3", "2001:db8::/0", false),
        ] {
            let entry = exempting(host, 443, list);
            assert_eq!(entry.is_some(), exempt, "{host} in {list:?}");
        }
        let entry = exempting("a.example", 443, "b.example, *.Example , *");
        assert_eq!(entry, Some("*.Example"));
    }
}
