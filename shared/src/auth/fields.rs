//! Fields of a policy's JSON. Code takes every field by name. A field that is unknown, repeated or of the
//! wrong type is an error that names its path and never quotes a value.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::PolicyError;

/// JSON that keeps repeated fields, which `serde_json::Value` drops.
pub(super) enum Json {
    Bool(bool),
    Text(String),
    Number(Option<u64>),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
    Null,
}

impl Json {
    /// # Errors
    /// Says where the text stops being valid JSON.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(text)
            .map_err(|e| PolicyError(format!("not JSON (line {}, column {})", e.line(), e.column())))
    }

    /// The text of an object's field, if the object has it.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let Self::Object(fields) = self else { return None };
        match fields.iter().find(|(field, _)| field == name) {
            Some((_, Self::Text(text))) => Some(text),
            _ => None,
        }
    }
}

/// An object's fields. Each can be taken once.
pub(super) struct Fields {
    /// Where the object is, such as `accept[0]`; empty for the policy itself.
    pub(super) path: String,
    fields: Vec<(String, Json)>,
}

impl Fields {
    /// # Errors
    /// If it is not an object, or has a field that is repeated or not among `known`.
    pub(super) fn new(path: &str, json: Json, known: &[&str]) -> Result<Self, PolicyError> {
        let Json::Object(fields) = json else {
            return Err(PolicyError::at(path, "must be an object"));
        };
        for (i, (name, _)) in fields.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(PolicyError::at(path, unknown(i + 1, name, known)));
            }
            if fields.iter().take(i).any(|(before, _)| before == name) {
                return Err(PolicyError::at(path, format!("repeated field `{name}`")));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            fields,
        })
    }

    /// The path of a field, such as `accept[0].secrets`.
    pub(super) fn at(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// Takes a field, if it exists.
    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// # Errors
    /// If the field is missing.
    pub(super) fn required(&mut self, name: &str) -> Result<Json, PolicyError> {
        self.take(name)
            .ok_or_else(|| PolicyError::at(&self.path, format!("missing field `{name}`")))
    }

    /// # Errors
    /// If the field is not a string.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, PolicyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(PolicyError::at(&self.at(name), "must be a string")),
        }
    }

    /// # Errors
    /// If the field is missing or not a string.
    pub(super) fn required_text(&mut self, name: &str) -> Result<String, PolicyError> {
        match self.required(name)? {
            Json::Text(text) => Ok(text),
            _ => Err(PolicyError::at(&self.at(name), "must be a string")),
        }
    }

    /// # Errors
    /// If the field is not a list of strings, or is empty.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, PolicyError> {
        let path = self.at(name);
        match self.take(name) {
            None => Ok(None),
            Some(Json::List(list)) if list.is_empty() => Err(PolicyError::at(&path, "is empty")),
            Some(Json::List(list)) => list
                .into_iter()
                .enumerate()
                .map(|(i, value)| match value {
                    Json::Text(text) => Ok(text),
                    _ => Err(PolicyError::at(&format!("{path}[{i}]"), "must be a string")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(PolicyError::at(&path, "must be a list of strings")),
        }
    }

    /// Takes a field whose value is one of some words.
    ///
    /// # Errors
    /// If the field has another value, which is not quoted.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, PolicyError> {
        let path = self.at(name);
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let known = match value {
            Json::Text(text) => words.iter().find(|(word, _)| *word == text),
            _ => None,
        };
        known.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            PolicyError::at(&path, format!("must be {}", listed(&words)))
        })
    }

    /// # Errors
    /// If the field is neither `true` nor `false`.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, PolicyError> {
        match self.take(name) {
            None => Ok(false),
            Some(Json::Bool(flag)) => Ok(flag),
            Some(_) => Err(PolicyError::at(&self.at(name), "must be true or false")),
        }
    }

    /// # Errors
    /// If the field is not a whole number from `least` to `most`.
    pub(super) fn number(&mut self, name: &str, least: u32, most: u32) -> Result<Option<u32>, PolicyError> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Json::Number(number)) => number.and_then(|n| u32::try_from(n).ok()),
            Some(_) => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(PolicyError::at(
                &self.at(name),
                format!("must be a whole number from {least} to {most}"),
            )),
        }
    }
}

/// An unknown name may be a secret in the wrong place. It is quoted only if it looks like a misspelling of a
/// known name; otherwise its position identifies the field.
fn unknown(number: usize, name: &str, known: &[&str]) -> String {
    let which = if known.iter().any(|known| is_near(name, known)) {
        format!("`{name}`")
    } else {
        format!("(number {number} of the object)")
    };
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!("unknown field {which}, expected {}", listed(&known))
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} or {other}"),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// Whether a name is within two edits of a known name, or a prefix of it.
fn is_near(name: &str, known: &str) -> bool {
    const EDITS: usize = 2;
    const BEGINNING: usize = 3;
    if name.len() >= BEGINNING && known.starts_with(name) {
        return true;
    }
    if name.len() <= BEGINNING || name.chars().count().abs_diff(known.chars().count()) > EDITS {
        return false;
    }
    distance(name, known) <= EDITS
}

/// Levenshtein distance, row by row.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, diagonal), above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(a != *b)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number(None))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(Some(value)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number(None))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = values.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_misspelled_name_is_quoted() {
        let known = ["secrets", "tolerance_seconds", "algorithm", "header"];
        for near in [
            "secret",
            "Secrets",
            "sercets",
            "tolerence_seconds",
            "alg",
            "headers",
        ] {
            assert!(
                unknown(1, near, &known).starts_with(&format!("unknown field `{near}`, ")),
                "{near}"
            );
        }
        for far in [
            "",
            "x",
            "se",
            "hunter2",
            "swordfish",
            "secrets-hunter2",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert_eq!(
                unknown(3, far, &known),
                "unknown field (number 3 of the object), expected `secrets`, `tolerance_seconds`, `algorithm` or `header`",
                "{far}"
            );
        }
    }

    #[test]
    fn distances() {
        for (one, other, edits) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("header", "headers", 1),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
        }
    }
}
