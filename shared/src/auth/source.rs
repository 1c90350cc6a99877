//! Where a request came from: the address the platform saw, checked against a list.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;
use serde::Deserialize;

use super::PolicyError;

/// The addresses Netcore publishes: four of its live system, one of its UAT system.
/// <https://emaildocs.netcorecloud.com/reference/webhooks-callback>
const NETCORE: [&str; 5] = [
    "3.109.231.61",
    "3.6.178.98",
    "13.127.49.56",
    "13.126.62.29",
    "139.59.22.149",
];

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SourcesConfig {
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    preset: Option<String>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    Report,
    Enforce,
}

/// Which addresses may send, and what happens to the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Sources {
    mode: Mode,
    allow: Vec<IpNet>,
    trusted_proxies: Vec<IpNet>,
}

/// What the list says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On the list, or there is no list.
    Allowed,
    /// Not on the list, which only reports.
    Reported,
    /// Not on the list.
    Refused,
}

impl Sources {
    pub(super) fn new(config: SourcesConfig) -> Result<Self, PolicyError> {
        let mode = match config.mode.as_deref() {
            None | Some("off") => Mode::Off,
            Some("report") => Mode::Report,
            Some("enforce") => Mode::Enforce,
            Some(_) => return Err(PolicyError::at("sources.mode", "must be off, report or enforce")),
        };
        let mut allow = networks("sources.allow", &config.allow)?;
        match config.preset.as_deref() {
            None => {}
            Some("netcore") => allow.extend(
                NETCORE
                    .iter()
                    .filter_map(|a| a.parse::<IpAddr>().ok())
                    .map(IpNet::from),
            ),
            Some(_) => return Err(PolicyError::at("sources.preset", "must be netcore")),
        }
        if allow.is_empty() && mode != Mode::Off {
            let mode = config.mode.unwrap_or_default();
            return Err(PolicyError::at(
                "sources",
                format!("mode {mode} needs allow or preset, else nobody could send"),
            ));
        }
        Ok(Self {
            mode,
            allow,
            trusted_proxies: networks("sources.trusted_proxies", &config.trusted_proxies)?,
        })
    }

    /// Judges the address the platform saw. `X-Forwarded-For` counts only where that address is a
    /// trusted proxy, and then the last entry that is no proxy itself: a caller can write the
    /// entries before it.
    pub fn judge(&self, seen: Option<IpAddr>, headers: &HeaderMap) -> Verdict {
        let listed = |address: IpAddr| self.allow.iter().any(|net| net.contains(&address.to_canonical()));
        match self.mode {
            Mode::Off => Verdict::Allowed,
            _ if seen.and_then(|s| self.origin(s, headers)).is_some_and(listed) => Verdict::Allowed,
            Mode::Report => Verdict::Reported,
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

fn networks(place: &str, list: &[String]) -> Result<Vec<IpNet>, PolicyError> {
    list.iter()
        .enumerate()
        .map(|(i, text)| {
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| PolicyError::at(&format!("{place}[{i}]"), "is not an address or a CIDR block"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Policy;

    fn judge(sources: &str, seen: &str, forwarded: Option<&str>) -> Verdict {
        let policy = Policy::parse(&format!(r#"{{"accept":"anything","sources":{sources}}}"#)).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(value) = forwarded {
            headers.insert("x-forwarded-for", value.parse().unwrap());
        }
        policy.sources().judge(seen.parse().ok(), &headers)
    }

    #[test]
    fn the_list_allows_reports_or_refuses() {
        let list = |mode: &str| {
            format!(r#"{{"mode":"{mode}","preset":"netcore","allow":["10.0.0.0/8","2001:db8::/32"]}}"#)
        };
        for (seen, verdict) in [
            ("3.109.231.61", Verdict::Allowed),
            ("139.59.22.149", Verdict::Allowed),
            ("10.200.1.1", Verdict::Allowed),
            ("2001:db8::7", Verdict::Allowed),
            ("::ffff:10.1.1.1", Verdict::Allowed),
            ("3.109.231.62", Verdict::Refused),
            ("", Verdict::Refused),
        ] {
            assert_eq!(judge(&list("enforce"), seen, None), verdict, "{seen}");
        }
        assert_eq!(judge(&list("report"), "1.2.3.4", None), Verdict::Reported);
        assert_eq!(judge(&list("off"), "1.2.3.4", None), Verdict::Allowed);
        assert_eq!(judge("{}", "1.2.3.4", None), Verdict::Allowed);
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let plain = r#"{"mode":"enforce","allow":["3.6.178.98"]}"#;
        assert_eq!(judge(plain, "1.2.3.4", Some("3.6.178.98")), Verdict::Refused);
        let proxied = r#"{"mode":"enforce","allow":["3.6.178.98"],"trusted_proxies":["130.176.0.0/16"]}"#;
        assert_eq!(
            judge(proxied, "130.176.1.1", Some("3.6.178.98")),
            Verdict::Allowed
        );
        assert_eq!(
            judge(proxied, "130.176.1.1", Some("3.6.178.98, 130.176.9.9")),
            Verdict::Allowed
        );
        assert_eq!(
            judge(proxied, "130.176.1.1", Some("3.6.178.98, 1.2.3.4")),
            Verdict::Refused,
            "forged"
        );
        assert_eq!(judge(proxied, "130.176.1.1", Some("junk")), Verdict::Refused);
        assert_eq!(judge(proxied, "130.176.1.1", None), Verdict::Refused);
        assert_eq!(judge(proxied, "1.2.3.4", Some("3.6.178.98")), Verdict::Refused);
    }
}
