//! Checks a request's source address, as the platform saw it, against a list.

use std::net::IpAddr;

use super::{
    PolicyError,
    fields::{Fields, Json},
};
use http::HeaderMap;
use ipnet::IpNet;

/// The addresses that Netcore publishes: four of its live system, one of its UAT system.
/// <https://emaildocs.netcorecloud.com/reference/webhooks-callback>
/// The last one is not published: an integrator saw some 30 calls in production, all from it.
const NETCORE: [&str; 6] = [
    "3.109.231.61",
    "3.6.178.98",
    "13.127.49.56",
    "13.126.62.29",
    "139.59.22.149",
    "35.244.61.191",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Off,
    Report,
    Enforce,
}

/// The addresses that may send, and how requests from others are handled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sources {
    mode: Mode,
    allow: Vec<IpNet>,
    trusted_proxies: Vec<IpNet>,
}

/// The result of checking an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On the list, or there is no list.
    Allowed,
    /// Not on the list, but the list is in report mode. The address is `None` if it is unknown.
    Reported(Option<IpAddr>),
    /// Not on the list, and the list is enforced.
    Refused,
}

impl Sources {
    pub(super) fn read(config: Json) -> Result<Self, PolicyError> {
        let known = ["mode", "allow", "preset", "trusted_proxies"];
        let mut fields = Fields::new("sources", config, &known)?;
        let modes = [
            ("off", Mode::Off),
            ("report", Mode::Report),
            ("enforce", Mode::Enforce),
        ];
        let mode = fields.word("mode", &modes)?.unwrap_or_default();
        let mut allow = networks(&mut fields, "allow")?;
        if let Some(preset) = fields.word("preset", &[("netcore", NETCORE)])? {
            allow.extend(
                preset
                    .iter()
                    .filter_map(|a| a.parse::<IpAddr>().ok())
                    .map(IpNet::from),
            );
        }
        if allow.is_empty() && mode != Mode::Off {
            let mode = modes.iter().find(|(_, other)| *other == mode);
            let mode = mode.map_or("", |(word, _)| word);
            return Err(PolicyError::at(
                "sources",
                format!("mode {mode} needs allow or preset, otherwise nobody could send"),
            ));
        }
        Ok(Self {
            mode,
            allow,
            trusted_proxies: networks(&mut fields, "trusted_proxies")?,
        })
    }

    /// Checks the address that the platform saw. `X-Forwarded-For` counts only if that address is a trusted
    /// proxy. Then the last entry that is not a proxy counts, since a caller can write the entries before it.
    pub fn check(&self, seen: Option<IpAddr>, headers: &HeaderMap) -> Verdict {
        let listed = |address: IpAddr| self.allow.iter().any(|net| net.contains(&address.to_canonical()));
        let origin = seen.and_then(|s| self.origin(s, headers));
        match self.mode {
            Mode::Off => Verdict::Allowed,
            _ if origin.is_some_and(listed) => Verdict::Allowed,
            Mode::Report => Verdict::Reported(origin),
            Mode::Enforce => Verdict::Refused,
        }
    }

    fn origin(&self, seen: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let trusted = |address: &IpAddr| {
            self.trusted_proxies
                .iter()
                .any(|net| net.contains(&address.to_canonical()))
        };
        if !trusted(&seen) {
            return Some(seen);
        }
        let mut hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        while let Some(hop) = hops.pop() {
            let address: IpAddr = hop.parse().ok()?;
            if !trusted(&address) {
                return Some(address);
            }
        }
        Some(seen)
    }
}

/// The networks in a field. A single address is a network with one address.
fn networks(fields: &mut Fields, name: &str) -> Result<Vec<IpNet>, PolicyError> {
    let path = fields.at(name);
    let texts = fields.texts(name)?.unwrap_or_default();
    let network = |(i, text): (usize, String)| {
        let fault = |what: &str| PolicyError::at(&format!("{path}[{i}]"), what);
        let network = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| fault("is not an address or a CIDR block"))?;
        if is_ipv4_mapped(network) {
            return Err(fault(
                "is an IPv4-mapped network, which matches no address; write the IPv4 network",
            ));
        }
        Ok(network)
    };
    texts.into_iter().enumerate().map(network).collect()
}

/// Addresses in `::ffff:0:0/96` are compared as the IPv4 addresses that they represent.
fn is_ipv4_mapped(network: IpNet) -> bool {
    match network {
        IpNet::V4(_) => false,
        IpNet::V6(network) => network.prefix_len() >= 96 && network.addr().to_ipv4_mapped().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Policy;

    fn check(sources: &str, seen: &str, forwarded: Option<&str>) -> Verdict {
        let policy = Policy::parse(&format!(r#"{{"accept":"anything","sources":{sources}}}"#)).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(value) = forwarded {
            headers.insert("x-forwarded-for", value.parse().unwrap());
        }
        policy.sources().check(seen.parse().ok(), &headers)
    }

    #[test]
    fn the_mode_decides_whether_other_addresses_are_refused() {
        let list = |mode: &str| {
            format!(r#"{{"mode":"{mode}","preset":"netcore","allow":["10.0.0.0/8","2001:db8::/32"]}}"#)
        };
        for (seen, verdict) in [
            ("3.109.231.61", Verdict::Allowed),
            ("139.59.22.149", Verdict::Allowed),
            ("35.244.61.191", Verdict::Allowed),
            ("10.200.1.1", Verdict::Allowed),
            ("2001:db8::7", Verdict::Allowed),
            ("::ffff:10.1.1.1", Verdict::Allowed),
            ("3.109.231.62", Verdict::Refused),
            ("", Verdict::Refused),
        ] {
            assert_eq!(check(&list("enforce"), seen, None), verdict, "{seen}");
        }
        let reported = Verdict::Reported("1.2.3.4".parse().ok());
        assert_eq!(check(&list("report"), "1.2.3.4", None), reported);
        assert_eq!(check(&list("report"), "", None), Verdict::Reported(None));
        assert_eq!(check(&list("off"), "1.2.3.4", None), Verdict::Allowed);
        assert_eq!(check("{}", "1.2.3.4", None), Verdict::Allowed);
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let plain = r#"{"mode":"enforce","allow":["3.6.178.98"]}"#;
        assert_eq!(check(plain, "1.2.3.4", Some("3.6.178.98")), Verdict::Refused);
        let proxied = r#"{"mode":"enforce","allow":["3.6.178.98"],"trusted_proxies":["130.176.0.0/16"]}"#;
        assert_eq!(
            check(proxied, "130.176.1.1", Some("3.6.178.98")),
            Verdict::Allowed
        );
        assert_eq!(
            check(proxied, "130.176.1.1", Some("3.6.178.98, 130.176.9.9")),
            Verdict::Allowed
        );
        assert_eq!(
            check(proxied, "130.176.1.1", Some("3.6.178.98, 1.2.3.4")),
            Verdict::Refused,
            "forged"
        );
        assert_eq!(check(proxied, "130.176.1.1", Some("junk")), Verdict::Refused);
        assert_eq!(check(proxied, "130.176.1.1", None), Verdict::Refused);
        assert_eq!(check(proxied, "1.2.3.4", Some("3.6.178.98")), Verdict::Refused);
    }
}
