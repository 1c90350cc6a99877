//! The persons beside the records of a nested envelope. Safe on untrusted input.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::de::{DeserializeSeed as _, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Malformed, NONE,
    outline::{each, offset, too_long},
};
use crate::{provider::Nesting, record::NameSeed};

/// The contacts of an object by each of their ids.
pub(super) struct Contacts<'a> {
    nesting: &'static Nesting,
    by_id: HashMap<Cow<'a, str>, u32>,
    /// The contact, if there is only one.
    pub(super) single: u32,
}

impl<'a> Contacts<'a> {
    /// `room` is the most bytes of a contact.
    pub(super) fn of(
        nesting: &'static Nesting,
        text: &'a str,
        list: Option<&'a str>,
        room: usize,
    ) -> Result<Self, Malformed> {
        let mut contacts = Self {
            nesting,
            by_id: HashMap::new(),
            single: NONE,
        };
        let Some(list) = list else { return Ok(contacts) };
        let mut count = 0_usize;
        each(list, &mut |contact| {
            if contact.len() > room {
                return Err(too_long("the records"));
            }
            let start = u32::try_from(offset(text, contact)).unwrap_or(NONE);
            count += 1;
            contacts.single = if count == 1 { start } else { NONE };
            for id in ids(contact, nesting.contact_ids).into_iter().flatten() {
                contacts.by_id.entry(id).or_insert(start);
            }
            Ok(())
        })?;
        Ok(contacts)
    }

    /// The contact with an id of the record.
    pub(super) fn of_record(&self, record: &'a str) -> u32 {
        if self.by_id.is_empty() {
            return NONE;
        }
        let ids = ids(record, self.nesting.person_ids);
        let found = ids
            .into_iter()
            .flatten()
            .find_map(|id| self.by_id.get(&id).copied());
        found.unwrap_or(NONE)
    }
}

/// The texts in these fields of an object, in the order of `names`.
fn ids<'a>(object: &'a str, names: &[&str]) -> Vec<Option<Cow<'a, str>>> {
    struct Ids<'n>(&'n [&'n str]);
    impl<'de> Visitor<'de> for Ids<'_> {
        type Value = Vec<Option<Cow<'de, str>>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut ids = vec![None; self.0.len()];
            while let Some(name) = map.next_key_seed(NameSeed)? {
                let value: &'de RawValue = map.next_value()?;
                let id = self.0.iter().position(|known| *known == name);
                if let Some(id) = id.and_then(|at| ids.get_mut(at)) {
                    let mut json = serde_json::Deserializer::from_str(value.get());
                    *id = NameSeed.deserialize(&mut json).ok();
                }
            }
            Ok(ids)
        }
    }
    let mut json = serde_json::Deserializer::from_str(object);
    json.deserialize_map(Ids(names)).unwrap_or_default()
}
