//! Reads `WEBHOOK_AUTH` as a policy and checks it completely at start.

use http::Method;

use super::{
    Challenge, Refusal, Unverified,
    fields::{Fields, Json},
    scheme::{self, Scheme},
    source::Sources,
};
use crate::event::EpochMillis;

/// The proofs of identity that a receiver accepts. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Empty means that authentication is switched off.
    schemes: Vec<Scheme>,
    secret_parameters: Vec<String>,
    sources: Sources,
}

/// Why a text is not a policy. Names the wrong part, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("WEBHOOK_AUTH: {0}")]
pub struct PolicyError(pub(super) String);

impl PolicyError {
    /// A fault at a path in the policy. It is empty for the policy as a whole.
    pub(super) fn at(path: &str, what: impl std::fmt::Display) -> Self {
        match path {
            "" => Self(what.to_string()),
            path => Self(format!("{path}: {what}")),
        }
    }
}

impl Policy {
    /// Reads a policy from its JSON text.
    ///
    /// # Errors
    /// [`PolicyError`] names the scheme and the field that is unknown, repeated, missing, empty or weak, or
    /// that could never match.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut fields = Fields::new("", Json::parse(text)?, &["accept", "sources"])?;
        let accept = fields.required("accept")?;
        let sources = match fields.take("sources") {
            Some(sources) => Sources::read(sources)?,
            None => Sources::default(),
        };
        let schemes = match accept {
            Json::Text(word) if word == "anything" => Vec::new(),
            Json::List(list) if list.is_empty() => {
                return Err(PolicyError(
                    "accept is empty, so nobody could send; to switch authentication off, write {\"accept\":\"anything\"}"
                        .into(),
                ));
            }
            Json::List(list) => list
                .into_iter()
                .enumerate()
                .map(|(i, config)| scheme::read(&format!("accept[{i}]"), config))
                .collect::<Result<Vec<_>, _>>()?
                .concat(),
            _ => {
                return Err(PolicyError(
                    "accept must be a list, or the word \"anything\"".into(),
                ));
            }
        };
        let secret_parameters = schemes.iter().filter_map(Scheme::secret_parameter);
        Ok(Self {
            secret_parameters: secret_parameters.map(str::to_owned).collect(),
            schemes,
            sources,
        })
    }

    /// Whether authentication is switched off.
    pub fn accepts_anything(&self) -> bool {
        self.schemes.is_empty()
    }

    /// Which addresses may send.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Checks whether the request satisfies a scheme. Otherwise returns the refusal of the scheme that came
    /// closest.
    pub(super) fn check(&self, request: Unverified<'_>, now: EpochMillis) -> Result<(), Refusal> {
        if self.accepts_anything() {
            return Ok(());
        }
        let mut nearest = Refusal::None;
        for scheme in &self.schemes {
            match scheme.check(request, now) {
                Ok(()) => return Ok(()),
                Err(refusal) => nearest = nearest.max(refusal),
            }
        }
        Err(nearest)
    }

    /// The answer to a handshake. `None` if the request is not one that the policy knows. Safe on untrusted
    /// input: only a query, or a body of at most 4 KB, is examined.
    pub fn challenge(&self, method: &Method, request: Unverified<'_>) -> Option<Challenge> {
        let mut refused = None;
        for scheme in &self.schemes {
            match scheme.challenge(method, request) {
                Some(Challenge::Answered(value)) => return Some(Challenge::Answered(value)),
                other => refused = refused.or(other),
            }
        }
        refused
    }

    /// The decoded names of the query's parameters that contain secrets. They must be removed before a query is
    /// stored as a record.
    pub fn secret_parameters(&self) -> &[String] {
        &self.secret_parameters
    }

    /// The value of `WWW-Authenticate` in a refusal, if the policy accepts passwords or bearer tokens. Some
    /// senders send them only after a refusal. RFC 9110, section 11.6.1.
    pub fn www_authenticate(&self) -> Option<&'static str> {
        let basic = self
            .schemes
            .iter()
            .any(|scheme| matches!(scheme, Scheme::Basic(_)));
        let bearer = self
            .schemes
            .iter()
            .any(|scheme| matches!(scheme, Scheme::Bearer(_)));
        match (basic, bearer) {
            (true, true) => Some(r#"Basic realm="webhooks", Bearer realm="webhooks""#),
            (true, false) => Some(r#"Basic realm="webhooks""#),
            (false, true) => Some(r#"Bearer realm="webhooks""#),
            (false, false) => None,
        }
    }

    /// The URL that a sender with the policy's first scheme calls: with the secret, if the scheme reads it from
    /// the query.
    pub fn signed_url(&self, url: &str) -> String {
        match self.schemes.first().and_then(Scheme::sign_query) {
            None => url.to_owned(),
            Some(parameter) if url.contains('?') => format!("{url}&{parameter}"),
            Some(parameter) => format!("{url}?{parameter}"),
        }
    }

    /// Headers that satisfy the policy's first scheme for a body. The `sign` command and the tests use them.
    pub fn sign(&self, body: &[u8], now: EpochMillis) -> Vec<(String, String)> {
        self.schemes
            .first()
            .map_or_else(Vec::new, |scheme| scheme.sign(body, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Policy::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_policy_is_read() {
        let policy = Policy::parse(
            r#"{"accept":[
                {"type":"hmac","header":"x-webhook-signature","algorithm":"sha256","encoding":"hex","prefix":"sha256=","secrets":["the-new-secret-of-all","the-old-secret-of-all"]},
                {"type":"hmac","header":"x-signature","encoding":"base64","timestamp_header":"x-timestamp","signed":"{timestamp}.{body}","tolerance_seconds":300,"secrets":["s3cr3t-s3cr3t-s3cr3t"]},
                {"type":"standard-webhooks","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
                {"type":"header","name":"x-netcore-token","values":["t0ken-t0ken-t0ken"]},
                {"type":"basic","username":"netcore","passwords":["passw0rd-passw0rd"]},
                {"type":"bearer","tokens":["b3arer-b3arer-b3arer"]},
                {"type":"query","name":"token","values":["qu3ry-qu3ry-qu3ry"]},
                {"preset":"meta","secrets":["app-s3cret-app-s3cret"],"verify_token":"ver1fy-ver1fy-ver1fy"}],
              "sources":{"mode":"enforce","allow":["3.109.231.61/32"],"preset":"netcore"}}"#,
        )
        .unwrap();
        assert!(!policy.accepts_anything());
        let shown = format!("{policy:?}");
        for secret in [
            "the-new",
            "the-old",
            "s3cr3t",
            "MfKQ",
            "t0ken",
            "passw0rd",
            "b3arer",
            "qu3ry",
            "app-s3cret",
            "ver1fy",
        ] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("[REDACTED]"));
    }

    #[test]
    fn an_invalid_policy_is_refused_with_the_reason() {
        for (text, says) in [
            ("", "WEBHOOK_AUTH: not JSON (line 1, column 0)"),
            ("{}", "WEBHOOK_AUTH: missing field `accept`"),
            (
                r#"{"accept":"all"}"#,
                "WEBHOOK_AUTH: accept must be a list, or the word \"anything\"",
            ),
            (
                r#"{"accept":[],"x":1}"#,
                "WEBHOOK_AUTH: unknown field (number 2 of the object), expected `accept` or `sources`",
            ),
            (
                r#"{"accept":[{"name":"x"}]}"#,
                "WEBHOOK_AUTH: accept[0]: has neither type nor preset",
            ),
            (
                r#"{"accept":[{"type":"magic"}]}"#,
                "WEBHOOK_AUTH: accept[0]: type must be hmac, standard-webhooks, header, basic, bearer or query",
            ),
            (
                r#"{"accept":[{"type":"header","name":"x","values":[]}]}"#,
                "WEBHOOK_AUTH: accept[0].values: is empty",
            ),
            (
                r#"{"accept":[{"type":"header","name":"x","values":["a-token-long-enough",""]}]}"#,
                "WEBHOOK_AUTH: accept[0].values[1]: is empty",
            ),
            (
                r#"{"accept":[{"type":"header","name":"x y","values":["a-token-long-enough"]}]}"#,
                "WEBHOOK_AUTH: accept[0].name: is not a header name",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"alg":"sha1"}]}"#,
                "WEBHOOK_AUTH: accept[0]: unknown field `alg`, expected `type`, `header`, `algorithm`, `encoding`, `prefix`, `timestamp_header`, `signed`, `tolerance_seconds`, `secrets` or `allow_weak`",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"signed":"{time}{body}"}]}"#,
                "WEBHOOK_AUTH: accept[0].signed: supports only {timestamp}, {header:NAME}, {body} and {message.data}",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"signed":"{timestamp}"}]}"#,
                "WEBHOOK_AUTH: accept[0].signed: must contain {body} or {message.data} once",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"timestamp_header":"t"}]}"#,
                "WEBHOOK_AUTH: accept[0]: timestamp_header and {timestamp} in signed must be used together: an unsigned time proves nothing",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"timestamp_header":"t","signed":"{header:u}{body}"}]}"#,
                "WEBHOOK_AUTH: accept[0]: timestamp_header and {timestamp} in signed must be used together: an unsigned time proves nothing",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"signed":"{header:x y hunter2}{body}"}]}"#,
                "WEBHOOK_AUTH: accept[0].signed: is not a header name",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"signed":"{header:X}{body}"}]}"#,
                "WEBHOOK_AUTH: accept[0].signed: contains the header of the signature, which cannot sign itself",
            ),
            (
                r#"{"accept":[{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],"signed":"{body}{message.data}"}]}"#,
                "WEBHOOK_AUTH: accept[0].signed: must contain {body} or {message.data} once",
            ),
            (
                r#"{"accept":[{"type":"standard-webhooks","secrets":["a-secret-long-enough"],"headers":"hunter2"}]}"#,
                "WEBHOOK_AUTH: accept[0].headers: must be webhook or svix",
            ),
            (
                r#"{"accept":[{"type":"bearer","tokens":["a-token with\u0000 zero"]}]}"#,
                "WEBHOOK_AUTH: accept[0].tokens[0]: contains a control character, such as a line break",
            ),
            (
                r#"{"accept":[{"type":"query","values":["a-token-long-enough"]}]}"#,
                "WEBHOOK_AUTH: accept[0]: missing field `name`",
            ),
            (
                r#"{"accept":[{"type":"query","name":"","values":["a-token-long-enough"]}]}"#,
                "WEBHOOK_AUTH: accept[0].name: must not be empty, begin or end with a blank, or contain a control character",
            ),
            (
                r#"{"accept":[{"type":"standard-webhooks","secrets":["whsec_!!!!!!!!!!!!!!!!"]}]}"#,
                "WEBHOOK_AUTH: accept[0].secrets[0]: is not base64 after whsec_",
            ),
            (
                r#"{"accept":"anything","sources":{"mode":"sometimes"}}"#,
                "WEBHOOK_AUTH: sources.mode: must be off, report or enforce",
            ),
            (
                r#"{"accept":"anything","sources":{"mode":"enforce"}}"#,
                "WEBHOOK_AUTH: sources: mode enforce needs allow or preset, otherwise nobody could send",
            ),
            (
                r#"{"accept":"anything","sources":{"mode":"report","allow":["3.109.231.61/40"]}}"#,
                "WEBHOOK_AUTH: sources.allow[0]: is not an address or a CIDR block",
            ),
        ] {
            assert_eq!(fault(text), says, "{text}");
        }
        assert!(fault(r#"{"accept":[]}"#).contains("accept is empty"));
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn a_policy_that_could_never_match_is_refused() {
        let header = |value: &str| {
            let value = serde_json::Value::from(value);
            format!(
                r#"{{"accept":[{{"type":"header","name":"x","values":["a-token-long-enough",{value}]}}]}}"#
            )
        };
        let values = |what: &str| format!("WEBHOOK_AUTH: accept[0].values[1]: {what}");
        let control = "contains a control character, such as a line break";
        let blank = "begins or ends with a blank";
        for (value, what) in [
            ("a-token-with-a-break\n", control),
            ("a-token-with\u{0}-in-it", control),
            ("a-token-with\ta-tab-in-it", control),
            ("a-token-with\u{7f}-delete", control),
            (" a-token-after-a-blank", blank),
            ("a-token-before-a-blank ", blank),
            ("a-token-before-a-hard-blank\u{a0}", blank),
            (
                "ein-schlüssel-mit-umlaut",
                "contains a character that a header cannot contain: only ASCII can be sent",
            ),
        ] {
            assert_eq!(fault(&header(value)), values(what), "{value:?}");
        }
        assert!(Policy::parse(&header("a token, with blanks and a comma")).is_ok());

        let hmac = |more: &str| {
            format!(
                r#"{{"accept":[{{"type":"hmac","header":"x","secrets":["a-secret-long-enough"],{more}}}]}}"#
            )
        };
        let timed = r#""timestamp_header":"t","signed":"{timestamp}.{body}""#;
        for (more, says) in [
            (
                r#""prefix":"v1,""#.to_owned(),
                "accept[0].prefix: can never match: it begins with a blank, or contains a comma or an invalid header character",
            ),
            (
                r#""prefix":" v1=""#.to_owned(),
                "accept[0].prefix: can never match: it begins with a blank, or contains a comma or an invalid header character",
            ),
            (
                r#""timestamp_header":"X","signed":"{timestamp}.{body}""#.to_owned(),
                "accept[0].timestamp_header: is the header of the signature; one value cannot be both",
            ),
            (
                format!(r#"{timed},"tolerance_seconds":0"#),
                "accept[0].tolerance_seconds: must be a whole number from 1 to 86400",
            ),
            (
                format!(r#"{timed},"tolerance_seconds":-300"#),
                "accept[0].tolerance_seconds: must be a whole number from 1 to 86400",
            ),
            (
                format!(r#"{timed},"tolerance_seconds":1e3"#),
                "accept[0].tolerance_seconds: must be a whole number from 1 to 86400",
            ),
            (
                format!(r#"{timed},"tolerance_seconds":86401"#),
                "accept[0].tolerance_seconds: must be a whole number from 1 to 86400",
            ),
        ] {
            assert_eq!(fault(&hmac(&more)), format!("WEBHOOK_AUTH: {says}"), "{more}");
        }
        assert!(Policy::parse(&hmac(&format!(r#"{timed},"tolerance_seconds":86400"#))).is_ok());

        for (basic, says) in [
            (
                r#""username":"net:core","passwords":["a-password-long-enough"]"#,
                "username: must not be empty or contain a colon or a control character",
            ),
            (
                r#""username":"","passwords":["a-password-long-enough"]"#,
                "username: must not be empty or contain a colon or a control character",
            ),
            (
                r#""username":"net\ncore","passwords":["a-password-long-enough"]"#,
                "username: must not be empty or contain a colon or a control character",
            ),
            (
                r#""username":"netcore","passwords":["a-password-long-enough\n"]"#,
                "passwords[0]: contains a control character, such as a line break",
            ),
        ] {
            let policy = format!(r#"{{"accept":[{{"type":"basic",{basic}}}]}}"#);
            assert_eq!(
                fault(&policy),
                format!("WEBHOOK_AUTH: accept[0].{says}"),
                "{basic}"
            );
        }
        assert!(
            Policy::parse(
                r#"{"accept":[{"type":"basic","username":"björn","passwords":["ein-schlüssel-mit-umlaut"]}]}"#
            )
            .is_ok()
        );

        let mapped = "is an IPv4-mapped network, which matches no address; write the IPv4 network";
        for (sources, says) in [
            (
                r#"{"mode":"enforce","allow":[]}"#,
                "sources.allow: is empty".to_owned(),
            ),
            (
                r#"{"trusted_proxies":[]}"#,
                "sources.trusted_proxies: is empty".to_owned(),
            ),
            (
                r#"{"mode":"enforce","allow":["10.0.0.0/8","::ffff:10.0.0.0/104"]}"#,
                format!("sources.allow[1]: {mapped}"),
            ),
            (
                r#"{"mode":"enforce","allow":["::ffff:0:0/96"]}"#,
                format!("sources.allow[0]: {mapped}"),
            ),
            (
                r#"{"mode":"enforce","allow":["::ffff:192.0.2.1"]}"#,
                format!("sources.allow[0]: {mapped}"),
            ),
            (
                r#"{"preset":"netcore","trusted_proxies":["::ffff:10.0.0.1"]}"#,
                format!("sources.trusted_proxies[0]: {mapped}"),
            ),
            (
                r#"{"preset":"meta"}"#,
                "sources.preset: must be netcore".to_owned(),
            ),
            (
                r#"{"mode":1}"#,
                "sources.mode: must be off, report or enforce".to_owned(),
            ),
            ("[]", "sources: must be an object".to_owned()),
        ] {
            let policy = format!(r#"{{"accept":"anything","sources":{sources}}}"#);
            assert_eq!(fault(&policy), format!("WEBHOOK_AUTH: {says}"), "{sources}");
        }
        for sources in [
            r#"{"mode":"enforce","allow":["::/0"]}"#,
            r#"{"mode":"report","allow":["2001:db8::/32"]}"#,
        ] {
            assert!(Policy::parse(&format!(r#"{{"accept":"anything","sources":{sources}}}"#)).is_ok());
        }
    }

    #[test]
    fn a_weak_secret_is_refused_unless_its_scheme_allows_it() {
        let weak = "is shorter than 16 characters; for trials, \"allow_weak\":true in its scheme accepts it";
        for (scheme, field) in [
            (
                r#""type":"header","name":"x","values":["fifteen-letters"]"#,
                "values",
            ),
            (
                r#""type":"hmac","header":"x","secrets":["fifteen-letters"]"#,
                "secrets",
            ),
            (
                r#""type":"basic","username":"u","passwords":["fünfzehn-zeiche"]"#,
                "passwords",
            ),
            (
                r#""type":"standard-webhooks","secrets":["whsec_c2VjcmV0"]"#,
                "secrets",
            ),
            (r#""type":"bearer","tokens":["fifteen-letters"]"#, "tokens"),
            (
                r#""type":"query","name":"t","values":["fünfzehn-zeiche"]"#,
                "values",
            ),
            (r#""preset":"sinch","secrets":["fifteen-letters"]"#, "secrets"),
        ] {
            let policy = |more: &str| format!(r#"{{"accept":[{{{scheme}{more}}}]}}"#);
            let says = format!("WEBHOOK_AUTH: accept[0].{field}[0]: {weak}");
            assert_eq!(fault(&policy("")), says);
            assert_eq!(fault(&policy(r#","allow_weak":false"#)), says);
            assert!(
                Policy::parse(&policy(r#","allow_weak":true"#)).is_ok(),
                "{scheme}"
            );
        }
        assert!(
            Policy::parse(r#"{"accept":[{"type":"header","name":"x","values":["sixteen-letters!"]}]}"#)
                .is_ok()
        );
        assert_eq!(
            fault(r#"{"accept":[{"type":"header","name":"x","values":["a"],"allow_weak":"yes"}]}"#),
            "WEBHOOK_AUTH: accept[0].allow_weak: must be true or false"
        );
        // `allow_weak` allows nothing else.
        assert_eq!(
            fault(r#"{"accept":[{"type":"header","name":"x","values":["a "],"allow_weak":true}]}"#),
            "WEBHOOK_AUTH: accept[0].values[0]: begins or ends with a blank"
        );
    }

    #[test]
    fn a_repeated_field_is_refused_wherever_it_is() {
        for (text, says) in [
            (
                r#"{"accept":"anything","accept":[]}"#,
                "WEBHOOK_AUTH: repeated field `accept`",
            ),
            (
                r#"{"accept":[{"type":"header","name":"x","values":["a-token-long-enough"],"values":["b"]}]}"#,
                "WEBHOOK_AUTH: accept[0]: repeated field `values`",
            ),
            (
                r#"{"accept":[{"type":"header","type":"basic","name":"x","values":["a-token-long-enough"]}]}"#,
                "WEBHOOK_AUTH: accept[0]: repeated field `type`",
            ),
            (
                r#"{"accept":"anything","sources":{"mode":"off","mode":"enforce"}}"#,
                "WEBHOOK_AUTH: sources: repeated field `mode`",
            ),
        ] {
            assert_eq!(fault(text), says, "{text}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_quoted() {
        for text in [
            r#"{"accept":[{"type":"header","name":"x","values":"hunter2"}]}"#,
            r#"{"accept":{"hunter2":1}}"#,
            r#"{"accept":[{"type":"basic","username":"n","passwords":[{"hunter2":"x"}]}]}"#,
            r#"{"accept":[{"type":"hunter2"}]}"#,
            r#"{"accept":[{"type":"header","name":"x","hunter2":["a-token-long-enough"]}]}"#,
            r#"{"accept":[{"type":"header","name":"x y hunter2","values":["a-token-long-enough"]}]}"#,
            r#"{"accept":[{"type":"hmac","header":"x","algorithm":"hunter2","secrets":["a-token-long-enough"]}]}"#,
            r#"{"accept":[{"type":"hmac","header":"x","prefix":"hunter2,","secrets":["a-token-long-enough"]}]}"#,
            r#"{"accept":[{"type":"basic","username":"hunter2:","passwords":["a-token-long-enough"]}]}"#,
            r#"{"accept":[{"type":"standard-webhooks","secrets":["whsec_hunter2!hunter2!"]}]}"#,
            r#"{"accept":"anything","sources":{"mode":"hunter2"}}"#,
            r#"{"accept":"anything","sources":{"mode":"report","allow":["hunter2"]}}"#,
            r#"{"accept":"anything","hunter2":1}"#,
            r#"{"hunter2":"anything"}"#,
            r#""hunter2"#,
        ] {
            assert!(!fault(text).contains("hunter2"), "{}", fault(text));
        }
    }

    #[test]
    fn only_anything_disables_authentication() {
        assert!(
            Policy::parse(r#"{"accept":"anything"}"#)
                .unwrap()
                .accepts_anything()
        );
    }
}
