//! Reads an object or a list without parsing its values. Safe on untrusted input.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::MAX_OTHER_BYTES;
use crate::{
    pipeline::batch::{JSON_SPACE, Malformed, not_json},
    provider::Nesting,
    record::NameSeed,
};

/// An object's fields with unparsed values: all fields that may lead to records, and of the others at most
/// [`MAX_OTHER_BYTES`] bytes.
pub(super) struct Outline<'de> {
    pub(super) leading: Vec<(&'static str, &'de RawValue)>,
    /// A field that leads to records and occurs twice.
    pub(super) twice: Option<&'static str>,
    others: Vec<(Cow<'de, str>, &'de RawValue)>,
    /// The length of all others, including dropped ones.
    other_bytes: usize,
    /// Whether there is a field that makes the object a record.
    pub(super) has_id: bool,
}

impl<'de> Outline<'de> {
    /// Reads an object. `leads` finds the known name of a field that may lead to records; `is_id` says whether
    /// a field makes the object a record.
    pub(super) fn of(
        text: &'de str,
        leads: &dyn Fn(&str) -> Option<&'static str>,
        is_id: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Malformed> {
        let mut json = serde_json::Deserializer::from_str(text);
        json.deserialize_map(OutlineOf { leads, is_id })
            .and_then(|outline| json.end().map(|()| outline))
            .map_err(|e| not_json(&e))
    }

    pub(super) fn leading(&self, name: &str) -> Option<&'de str> {
        let (_, value) = self.leading.iter().find(|(known, _)| *known == name)?;
        Some(value.get())
    }

    /// The other fields as text, without braces. `used` are the names that lead to records.
    pub(super) fn beside(&self, used: &[&str]) -> Result<String, Malformed> {
        let unused = self.leading.iter().filter(|(name, _)| !used.contains(name));
        let unused: Vec<(Cow<'_, str>, &RawValue)> =
            unused.map(|(name, value)| (Cow::from(*name), *value)).collect();
        let bytes: usize = unused
            .iter()
            .map(|(name, value)| name.len() + value.get().len())
            .sum();
        if self.other_bytes + bytes > MAX_OTHER_BYTES {
            return Err(too_long(used.first().copied().unwrap_or_default()));
        }
        let fields: Vec<String> = (self.others.iter().chain(&unused))
            .map(|(name, value)| format!("{}:{}", Value::from(name.as_ref()), value.get()))
            .collect();
        Ok(fields.join(","))
    }
}

struct OutlineOf<'f> {
    leads: &'f dyn Fn(&str) -> Option<&'static str>,
    is_id: &'f dyn Fn(&str) -> bool,
}

impl<'de> Visitor<'de> for OutlineOf<'_> {
    type Value = Outline<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut outline = Outline {
            leading: Vec::new(),
            twice: None,
            others: Vec::new(),
            other_bytes: 0,
            has_id: false,
        };
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let value: &'de RawValue = map.next_value()?;
            if let Some(known) = (self.leads)(&name) {
                if outline.leading(known).is_some() {
                    outline.twice = Some(known);
                } else {
                    outline.leading.push((known, value));
                }
                continue;
            }
            outline.has_id |= (self.is_id)(&name);
            outline.other_bytes += name.len() + value.get().len();
            if outline.other_bytes <= MAX_OTHER_BYTES {
                outline.others.push((name, value));
            }
        }
        Ok(outline)
    }
}

/// The outline of an object inside a nested envelope. `None` for another value, and for an object in which a name
/// that leads to records is repeated: no body could be made of its records.
pub(super) fn outline_in<'a>(nesting: &Nesting, value: &'a str) -> Option<Outline<'a>> {
    if !value.starts_with('{') {
        return None;
    }
    let leads = |name: &str| nesting.names().find(|known| *known == name);
    let outline = Outline::of(value, &leads, &|_| false).ok()?;
    outline.twice.is_none().then_some(outline)
}

/// Calls `f` with each element of a list, or with the value itself if it is no list.
pub(super) fn each<'a>(
    value: &'a str,
    f: &mut dyn FnMut(&'a str) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if value.starts_with('[') {
        for_each(value, &mut |element| f(element.get()))
    } else {
        f(value)
    }
}

/// Whether a value is an object, or a list with elements.
pub(super) fn has_elements(value: &str) -> bool {
    match value.as_bytes().first() {
        Some(b'{') => true,
        Some(b'[') => !value
            .get(1..)
            .unwrap_or_default()
            .trim_start_matches(JSON_SPACE)
            .starts_with(']'),
        _ => false,
    }
}

/// Calls `f` with each element of a list. Also checks that the text is JSON.
pub(super) fn for_each<'a>(
    list: &'a str,
    f: &mut dyn FnMut(&'a RawValue) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    struct Each<'f, 'de> {
        f: &'f mut dyn FnMut(&'de RawValue) -> Result<(), Malformed>,
        failed: &'f mut Option<Malformed>,
    }
    impl<'de> Visitor<'de> for Each<'_, 'de> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while let Some(value) = seq.next_element::<&'de RawValue>()? {
                if let Err(malformed) = (self.f)(value) {
                    *self.failed = Some(malformed);
                    return Err(A::Error::custom("see `failed`"));
                }
            }
            Ok(())
        }
    }
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_str(list);
    let read = json
        .deserialize_seq(Each {
            f,
            failed: &mut failed,
        })
        .and_then(|()| json.end());
    match (failed, read) {
        (Some(malformed), _) => Err(malformed),
        (None, read) => read.map_err(|e| not_json(&e)),
    }
}

/// Where a slice of the text starts: serde's values are slices of their input.
pub(super) fn offset(text: &str, slice: &str) -> usize {
    slice.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

pub(super) fn too_long(name: &str) -> Malformed {
    Malformed(format!(
        "the fields beside {name} are longer than {MAX_OTHER_BYTES} bytes"
    ))
}
