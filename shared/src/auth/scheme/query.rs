//! A secret in the URL's query, for senders that can set nothing but a URL.

use super::{ALLOW_WEAK, Transmission, any_secret, first_text, matched, secrets};
use crate::auth::{PolicyError, Refusal, Secret, Unverified, fields::Fields};

/// The scheme's fields in the policy.
pub(super) const FIELDS: &[&str] = &["type", "name", "values", ALLOW_WEAK];

/// A secret in a parameter of the query.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::auth) struct QueryValue {
    name: String,
    values: Vec<Secret>,
}

impl QueryValue {
    pub(super) fn read(mut fields: Fields) -> Result<Self, PolicyError> {
        let name = fields.required_text("name")?;
        if name.is_empty() || name.trim() != name || name.contains(char::is_control) {
            return Err(PolicyError::at(
                &fields.at("name"),
                "must not be empty, begin or end with a blank, or contain a control character",
            ));
        }
        Ok(Self {
            name,
            values: secrets(&mut fields, "values", Transmission::Encoded)?,
        })
    }

    /// The parameter's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn check(&self, request: Unverified<'_>) -> Result<(), Refusal> {
        let sent = parameter(request.query, &self.name)?;
        matched(any_secret(&self.values, sent.as_bytes()))
    }

    /// The parameter with the first secret, encoded for a URL.
    pub(super) fn sign(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(&self.name, &first_text(&self.values));
        query.finish()
    }
}

/// The only value of a parameter, decoded (`%XX`, and `+` for a blank).
///
/// # Errors
/// [`Refusal::None`] without the parameter, [`Refusal::Unknown`] if it is repeated.
pub(super) fn parameter(query: &str, name: &str) -> Result<String, Refusal> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| other == name);
    let (_, value) = values.next().ok_or(Refusal::None)?;
    match values.next() {
        None => Ok(value.into_owned()),
        Some(_) => Err(Refusal::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{
        Policy,
        scheme::testing::{NOW, check},
    };
    use proptest::prelude::*;

    const POLICY: &str = r#"{"accept":[{"type":"query","name":"token","values":["a-new & secret + %20","an-older-secret-text"]}]}"#;

    #[test]
    fn a_secret_in_the_query() {
        let sent = |query: &str| check(POLICY, &[], query, b"body", NOW);
        assert_eq!(sent("token=a-new+%26%20secret%20%2B%20%2520"), Ok(()));
        assert_eq!(sent("reqid=1&token=an-older-secret-text&x"), Ok(()));
        assert_eq!(sent("token=an-older-secret-tex"), Err(Refusal::Mismatch));
        assert_eq!(sent("token=an-older-secret-textt"), Err(Refusal::Mismatch));
        assert_eq!(sent("token=AN-OLDER-SECRET-TEXT"), Err(Refusal::Mismatch));
        assert_eq!(sent("token="), Err(Refusal::Mismatch));
        assert_eq!(sent("Token=an-older-secret-text"), Err(Refusal::None));
        assert_eq!(sent(""), Err(Refusal::None));
        let twice = "token=an-older-secret-text&token=an-older-secret-text";
        assert_eq!(sent(twice), Err(Refusal::Unknown));
        // The header of the same name is not the parameter.
        let header = [("token", "an-older-secret-text")];
        assert_eq!(check(POLICY, &header, "", b"", NOW), Err(Refusal::None));
    }

    #[test]
    fn a_sender_appends_the_secret_to_the_url() {
        let policy = Policy::parse(POLICY).unwrap();
        let encoded = "token=a-new+%26+secret+%2B+%2520";
        assert_eq!(policy.signed_url("https://h/p"), format!("https://h/p?{encoded}"));
        assert_eq!(
            policy.signed_url("https://h/p?a=1"),
            format!("https://h/p?a=1&{encoded}")
        );
        assert_eq!(policy.sign(b"body", NOW), []);
        let other = r#"{"accept":[{"type":"bearer","tokens":["a-token-long-enough"]}]}"#;
        assert_eq!(
            Policy::parse(other).unwrap().signed_url("https://h/p"),
            "https://h/p"
        );
    }

    #[test]
    fn parameters_with_secrets_are_named() {
        let policy = Policy::parse(
            r#"{"accept":[
            {"type":"query","name":"t","values":["a-token-long-enough"]},
            {"type":"header","name":"x","values":["a-token-long-enough"]},
            {"preset":"meta","secrets":["a-secret-long-enough"],"verify_token":"a-token-long-enough"}]}"#,
        )
        .unwrap();
        assert_eq!(policy.secret_parameters(), ["t", "hub.verify_token"]);
    }

    proptest! {
        #[test]
        fn any_secret_survives_the_url(name in "[!-~é]{1,8}", secret in "[!-~é][ -~é]{14,20}[!-~é]", other in "[ -~]{0,20}") {
            let config = serde_json::json!({"accept": [{"type": "query", "name": name, "values": [secret]}]}).to_string();
            let policy = Policy::parse(&config).unwrap();
            let url = policy.signed_url("https://h/");
            let (_, query) = url.split_once('?').unwrap();
            prop_assert_eq!(check(&config, &[], query, b"", NOW), Ok(()));
            prop_assert_ne!(check(&config, &[], &other, b"", NOW), Ok(()));
        }
    }

    #[test]
    fn a_parameter_is_decoded_and_unique() {
        for (query, value) in [
            ("token=a", Ok("a")),
            ("x=1&token=a%20b+c%26&y", Ok("a b c&")),
            ("%74oken=a", Ok("a")),
            ("token", Ok("")),
            ("token=%zz%", Ok("%zz%")),
            ("", Err(Refusal::None)),
            ("Token=a&token%00=a", Err(Refusal::None)),
            ("token=a&token=a", Err(Refusal::Unknown)),
            ("token=a&%74oken=b", Err(Refusal::Unknown)),
        ] {
            assert_eq!(
                parameter(query, "token").as_deref().map_err(|e| *e),
                value,
                "{query}"
            );
        }
    }
}
