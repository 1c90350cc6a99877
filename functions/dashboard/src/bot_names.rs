//! Names of bots, for people: `BOT_NAMES`, `{"732":"Saffron Market"}`.

use std::collections::BTreeMap;

use webhook_ingest::{counters, personal};

/// The most bots.
const MOST: usize = 200;
/// The most bytes of a bot's id or name.
const MAX_BYTES: usize = 96;

/// Names by bot id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BotNames(BTreeMap<String, String>);

impl BotNames {
    /// Parses `BOT_NAMES`.
    ///
    /// # Errors
    /// The fault, for the list of invalid variables.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fault = format!(
            "must be JSON like {{\"732\":\"Saffron Market\"}}, with at most {MOST} bots, and at most {MAX_BYTES} bytes in an id or a name"
        );
        let names: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| fault.clone())?;
        let is_valid = |text: &String| (1..=MAX_BYTES).contains(&text.len());
        if names.len() > MOST || !names.iter().all(|(id, name)| is_valid(id) && is_valid(name)) {
            return Err(fault);
        }
        Ok(Self(names))
    }

    /// The names, also by the redacted ids under which numbers of seven digits or more are counted. A viewer gets no
    /// others.
    pub(crate) fn shown(&self, sees_numbers: bool) -> BTreeMap<String, String> {
        let mut shown = BTreeMap::new();
        for (id, name) in &self.0 {
            shown.insert(counters::word(id), name.clone());
            if sees_numbers {
                shown.insert(id.clone(), name.clone());
            }
        }
        if !sees_numbers {
            for name in shown.values_mut() {
                *name = personal::redact(name).into_owned();
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_the_ids_of_events_and_of_counters() {
        let names =
            BotNames::parse(r#"{"732":"Saffron Market","919812345678":"Help +91 98123 45678"}"#).unwrap();
        let shown = |sees: bool| -> Vec<(String, String)> { names.shown(sees).into_iter().collect() };
        let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(
            shown(true),
            [
                pair("*********678", "Help +91 98123 45678"),
                pair("732", "Saffron Market"),
                pair("919812345678", "Help +91 98123 45678"),
            ]
        );
        assert_eq!(
            shown(false),
            [
                pair("*********678", "Help +** ***** **678"),
                pair("732", "Saffron Market")
            ]
        );
    }

    #[test]
    fn only_a_bounded_object_of_texts_is_accepted() {
        let many: BTreeMap<usize, &str> = (0..201).map(|id| (id, "x")).collect();
        let many = serde_json::to_string(&many).unwrap();
        let long = format!("{{\"1\":\"{}\"}}", "x".repeat(97));
        for text in [
            "",
            "[]",
            "{\"1\":2}",
            "{\"\":\"x\"}",
            "{\"1\":\"\"}",
            &many,
            &long,
        ] {
            let error = BotNames::parse(text).unwrap_err();
            assert!(error.starts_with("must be JSON like"), "{text}: {error}");
        }
        assert_eq!(BotNames::parse("{}"), Ok(BotNames::default()));
    }
}
