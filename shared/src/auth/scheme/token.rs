//! A secret that is sent unchanged in a header: a token or a password.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;

use super::{
    ALLOW_WEAK, Transmission, any_secret, equal, first_text, header_name, matched, one, secret_list, secrets,
};
use crate::auth::{PolicyError, Refusal, Secret, Unverified, fields::Fields};

/// The token scheme's fields in the policy.
pub(super) const HEADER_FIELDS: &[&str] = &["type", "name", "values", ALLOW_WEAK];

/// A token in a header. Netcore calls it the custom header of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct HeaderValue {
    name: HeaderName,
    values: Vec<Secret>,
}

impl HeaderValue {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let name = fields.required_text("name")?;
        Ok(Self {
            name: header_name(&fields.at("name"), &name)?,
            values: secrets(&mut fields, "values", Transmission::Verbatim)?,
        })
    }

    pub(super) fn check(&self, request: Unverified<'_>) -> Result<(), Refusal> {
        let sent = one(request.headers, &self.name)?;
        matched(any_secret(&self.values, sent.as_bytes()))
    }

    pub(super) fn sign(&self) -> Vec<(String, String)> {
        vec![(self.name.to_string(), first_text(&self.values))]
    }
}

/// The password scheme's fields in the policy.
pub(super) const BASIC_FIELDS: &[&str] = &["type", "username", "passwords", ALLOW_WEAK];

/// HTTP Basic, RFC 7617.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct Basic {
    username: String,
    passwords: Vec<Secret>,
}

impl Basic {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let username = fields.required_text("username")?;
        // RFC 7617 ends a name at the first colon and forbids control characters.
        if username.is_empty() || username.contains(|c: char| c == ':' || c.is_control()) {
            return Err(PolicyError::at(
                &fields.at("username"),
                "must not be empty or contain a colon or a control character",
            ));
        }
        Ok(Self {
            username,
            passwords: secrets(&mut fields, "passwords", Transmission::Encoded)?,
        })
    }

    pub(super) fn check(&self, request: Unverified<'_>) -> Result<(), Refusal> {
        let value = one(request.headers, &http::header::AUTHORIZATION)?;
        let sent = credentials(value).ok_or(Refusal::Unknown)?;
        let mut parts = sent.splitn(2, |byte| *byte == b':');
        let (username, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let same_name = equal(username, self.username.as_bytes());
        matched(any_secret(&self.passwords, password) & same_name)
    }

    pub(super) fn sign(&self) -> Vec<(String, String)> {
        let pair = format!("{}:{}", self.username, first_text(&self.passwords));
        vec![("authorization".into(), format!("Basic {}", STANDARD.encode(pair)))]
    }
}

/// The bearer scheme's fields in the policy.
pub(super) const BEARER_FIELDS: &[&str] = &["type", "tokens", ALLOW_WEAK];

/// A bearer token, RFC 6750.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct Bearer {
    tokens: Vec<Secret>,
}

impl Bearer {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let allow_weak = fields.flag(ALLOW_WEAK)?;
        Self::new(&mut fields, "tokens", allow_weak)
    }

    /// Reads the tokens from the field with this name.
    pub(super) fn new(fields: &mut Fields, name: &str, allow_weak: bool) -> Result<Self, PolicyError> {
        let tokens = secret_list(fields, name, Transmission::Verbatim, allow_weak)?;
        Ok(Self {
            tokens: tokens.into_iter().map(Secret::new).collect(),
        })
    }

    pub(super) fn check(&self, request: Unverified<'_>) -> Result<(), Refusal> {
        let value = one(request.headers, &http::header::AUTHORIZATION)?;
        let sent = of_scheme(value, "bearer").ok_or(Refusal::Unknown)?;
        matched(any_secret(&self.tokens, sent.as_bytes()))
    }

    pub(super) fn sign(&self) -> Vec<(String, String)> {
        let token = first_text(&self.tokens);
        vec![("authorization".into(), format!("Bearer {token}"))]
    }
}

/// The name and password in an `Authorization` header.
fn credentials(value: &str) -> Option<Vec<u8>> {
    STANDARD.decode(of_scheme(value, "basic")?).ok()
}

/// The part of an `Authorization` header after the scheme's name, which is case-insensitive.
fn of_scheme<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, rest) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{
        Policy,
        scheme::testing::{NOW, check},
    };

    #[test]
    fn a_bearer_token() {
        let policy =
            r#"{"accept":[{"type":"bearer","tokens":["a-newer-bearer-token","an-older-bearer-token"]}]}"#;
        let sent = |value: &str| check(policy, &[("authorization", value)], "", b"", NOW);
        assert_eq!(sent("Bearer a-newer-bearer-token"), Ok(()));
        assert_eq!(sent("bearer  an-older-bearer-token"), Ok(()));
        assert_eq!(sent("Bearer a-newer-bearer-toke"), Err(Refusal::Mismatch));
        assert_eq!(sent("Bearer A-NEWER-BEARER-TOKEN"), Err(Refusal::Mismatch));
        assert_eq!(sent("Bearer "), Err(Refusal::Unknown));
        assert_eq!(sent("Bearer"), Err(Refusal::Unknown));
        assert_eq!(sent("a-newer-bearer-token"), Err(Refusal::Unknown));
        assert_eq!(sent("Basic a-newer-bearer-token"), Err(Refusal::Unknown));
        assert_eq!(check(policy, &[], "", b"", NOW), Err(Refusal::None));
        let twice = [("authorization", "Bearer a-newer-bearer-token"); 2];
        assert_eq!(check(policy, &twice, "", b"", NOW), Err(Refusal::Unknown));
    }

    #[test]
    fn a_refusal_names_the_schemes_of_the_authorization_header() {
        let basic = r#"{"type":"basic","username":"u","passwords":["a-password-long-enough"]}"#;
        let bearer = r#"{"preset":"paytm-pi","secrets":["a-token-long-enough"]}"#;
        let header = r#"{"type":"header","name":"x","values":["a-token-long-enough"]}"#;
        for (schemes, value) in [
            (vec![header], None),
            (vec![header, basic], Some(r#"Basic realm="webhooks""#)),
            (vec![bearer], Some(r#"Bearer realm="webhooks""#)),
            (
                vec![bearer, basic],
                Some(r#"Basic realm="webhooks", Bearer realm="webhooks""#),
            ),
        ] {
            let policy = format!(r#"{{"accept":[{}]}}"#, schemes.join(","));
            assert_eq!(
                Policy::parse(&policy).unwrap().www_authenticate(),
                value,
                "{policy}"
            );
        }
        let anything = Policy::parse(r#"{"accept":"anything"}"#).unwrap();
        assert_eq!(anything.www_authenticate(), None);
    }
}
