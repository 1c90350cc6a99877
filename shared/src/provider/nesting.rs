//! Envelopes with several levels: objects in lists of objects, in which the lists of records are.

use super::{FormatId, meta};

/// How a provider nests its records.
///
/// An object of the path in which there are no records is a record itself, so that nothing is lost. Fields around
/// a record are kept with its event ([`Event::envelope`](crate::event::Event::envelope)) and are not compared: a
/// sender that tries again can send the record with other records, and then with other fields around it.
pub(crate) struct Nesting {
    /// The fields that lead from the body to the objects with lists of records.
    pub(crate) path: &'static [Step],
    /// A field that an object with lists of records has if it is the body.
    pub(super) mark: &'static str,
    /// The lists of records, and the format of each.
    pub(super) lists: &'static [(&'static str, [FormatId; 1])],
    /// The format of objects without records.
    pub(crate) rest: &'static [FormatId],
    /// The list of persons beside the lists of records. A record keeps the one that it names.
    pub(crate) contacts: &'static str,
    /// The fields of a contact with an id.
    pub(crate) contact_ids: &'static [&'static str],
    /// The fields of a record with the id of a contact, the most specific first.
    pub(crate) person_ids: &'static [&'static str],
}

/// One field of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A list of objects, or one object.
    List(&'static str),
    /// An object.
    Object(&'static str),
}

impl Nesting {
    /// Names of fields that can lead to records or contacts.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let steps = self.path.iter().map(|step| match step {
            Step::List(name) | Step::Object(name) => *name,
        });
        let lists = self.lists.iter().map(|(name, _)| *name);
        steps.chain(lists).chain([self.contacts, self.mark])
    }

    /// The formats of the records in a list.
    pub(crate) fn formats_of(&self, list: &str) -> Option<&'static [FormatId]> {
        let (_, formats) = self.lists.iter().find(|(name, _)| *name == list)?;
        Some(formats)
    }

    /// How many steps of the path lead to a body with these fields: none to the whole envelope, all to an object
    /// with lists of records. `None` for other bodies.
    pub(crate) fn depth_of(&self, has: impl Fn(&str) -> bool) -> Option<usize> {
        match self.path.first() {
            Some(Step::List(name) | Step::Object(name)) if has(name) => Some(0),
            _ if has(self.mark) && self.lists.iter().any(|(name, _)| has(name)) => Some(self.path.len()),
            _ => None,
        }
    }

    fn formats(&self) -> impl Iterator<Item = FormatId> {
        let listed = self.lists.iter().flat_map(|(_, formats)| formats);
        listed.chain(self.rest).copied()
    }
}

/// The nesting of the first of `formats` that has one.
pub(crate) fn nesting(formats: &[FormatId]) -> Option<&'static Nesting> {
    let is_used = formats.iter().copied().any(is_nested);
    is_used.then_some(&meta::NESTING)
}

/// Whether records of a format occur only in a nested envelope.
pub(crate) fn is_nested(format: FormatId) -> bool {
    // By address, since every record of every format comes by here.
    meta::NESTING.formats().any(|nested| std::ptr::eq(nested, format))
}

/// The envelope of a format, for an error message. `None` if its records have neither an envelope nor an id.
pub(crate) fn expected(format: FormatId) -> Option<String> {
    let nested = is_nested(format).then(|| meta::NESTING.names().next()).flatten();
    let record = || Some(format!("[{{\"{}\":…}}]", format.id_field()?));
    match nested.or(format.envelope) {
        Some(name) => Some(format!("{{\"{name}\":[…]}}")),
        None => record(),
    }
}
