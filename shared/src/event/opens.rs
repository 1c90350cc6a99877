//! Opens of an e-mail by machines.
//!
//! An open is the request for a picture in the e-mail. Some mailbox providers request it themselves, so that the
//! request says nothing about the person: at the arrival of the e-mail, or later for the person, but from a cache
//! that hides further opens. Such an open proves that the e-mail arrived, and nothing else.

/// How a user agent names a machine.
enum Sign {
    /// It contains this word.
    Contains(&'static str),
    /// It is exactly this text.
    Is(&'static str),
}

/// The machines that can be told by their user agent, and the word that is stored.
///
/// - Gmail's proxy adds `(via ggpht.com GoogleImageProxy)`, as in Netcore's own sample of an open:
///   <https://emaildev.netcorecloud.com/webhooks/repository/events>.
/// - Yahoo's proxy is `YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html`.
/// - Apple's Mail Privacy Protection requests the pictures of every e-mail with `Mozilla/5.0` and nothing after
///   it: <https://github.com/ua-parser/uap-core/issues/509>. Browsers add a platform.
const MACHINES: [(Sign, &str); 3] = [
    (Sign::Contains("GoogleImageProxy"), "GoogleImageProxy"),
    (Sign::Contains("YahooMailProxy"), "YahooMailProxy"),
    (Sign::Is("Mozilla/5.0"), "AppleMailPrivacyProtection"),
];

/// The machine with this user agent, as stored in `opened_by`; `None` if the user agent may be a person's.
///
/// ```
/// use webhook_ingest::event::opens::machine;
/// assert_eq!(machine("Mozilla/5.0 Firefox/11.0 (via ggpht.com GoogleImageProxy)"), Some("GoogleImageProxy"));
/// assert_eq!(machine("Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101 Firefox/60.0"), None);
/// ```
pub fn machine(user_agent: &str) -> Option<&'static str> {
    let user_agent = user_agent.trim();
    let is_one = |sign: &Sign| match sign {
        Sign::Contains(word) => user_agent.contains(word),
        Sign::Is(text) => user_agent == *text,
    };
    MACHINES
        .iter()
        .find_map(|(sign, name)| is_one(sign).then_some(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_from_people() {
        for (user_agent, expected) in [
            (
                "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
                Some("YahooMailProxy"),
            ),
            (" Mozilla/5.0 ", Some("AppleMailPrivacyProtection")),
            (
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                Some("GoogleImageProxy"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 15_0 like Mac OS X) AppleWebKit/605.1.15",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(machine(user_agent), expected, "{user_agent}");
        }
    }
}
