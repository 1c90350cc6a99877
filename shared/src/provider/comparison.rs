//! Compares two records of one format, field by field.

use super::{Format, Role};
use crate::{
    event::{
        Attribute, Channel, Status, names,
        person::{self, phone_digits},
        time,
    },
    record::exact::{Exact, Field, groups},
};

/// The attributes that hold the fields in which two records differ, in order. Empty if the records are equal.
///
/// Two spellings of a documented field are equal if they are read as the same value; absent and empty are
/// equal. Other fields must have equal values. A repeated field name must be repeated in both records.
pub(crate) fn differing(format: &Format, one: &[Field<'_>], other: &[Field<'_>]) -> Vec<&'static str> {
    let mut attributes = Vec::new();
    if format.aliases.is_empty() {
        compare(format, &[], one, other, &mut attributes);
    } else {
        let (one, other) = (format.with_own_names(one), format.with_own_names(other));
        compare(format, &[], &one, &other, &mut attributes);
    }
    attributes.sort_unstable();
    attributes.dedup();
    attributes
}

/// Compares two objects of two records, at the same path.
fn compare(
    format: &Format,
    inside: &[&str],
    one: &[Field<'_>],
    other: &[Field<'_>],
    differing: &mut Vec<&'static str>,
) {
    for (name, one, other) in groups(one, other) {
        let holds_listed = format.lists_inside(inside, name);
        if holds_listed && let ([(_, Exact::Object(one))], [(_, Exact::Object(other))]) = (one, other) {
            compare(format, &[inside, &[name]].concat(), one, other, differing);
            continue;
        }
        let (attribute, agree) = match format.role(inside, name) {
            Some((attribute, role)) => (attribute, agree(role, one, other)),
            None if holds_listed => (names::EXTRA, agree(None, one, other)),
            None => (names::EXTRA, equal(one, other)),
        };
        if !agree {
            differing.push(attribute);
        }
    }
}

impl Format {
    /// The attribute that holds the documented field with this name in the object at a path, and its role if
    /// it has one.
    fn role(&self, inside: &[&str], name: &str) -> Option<(&'static str, Option<Role>)> {
        let is_meant = |path: &str| below(path, inside, name) == Some("");
        if let Some((_, role)) = self.fields.iter().find(|(path, _)| is_meant(path)) {
            return Some((role.attribute(), Some(*role)));
        }
        let (_, attribute) = self.also.iter().find(|(path, _)| is_meant(path))?;
        Some((attribute, None))
    }

    /// Whether the object in the field with this name holds documented fields.
    fn lists_inside(&self, inside: &[&str], name: &str) -> bool {
        let holds = |path: &str| below(path, inside, name).is_some_and(|rest| !rest.is_empty());
        self.fields.iter().any(|(path, _)| holds(path)) || self.also.iter().any(|(path, _)| holds(path))
    }
}

/// The rest of a documented path after the field `name` of the object at `inside`: empty for the field itself,
/// else a dot and more. A name with a dot is no path.
fn below<'p>(path: &'p str, inside: &[&str], name: &str) -> Option<&'p str> {
    let mut rest = path;
    for (depth, name) in inside.iter().copied().chain([name]).enumerate() {
        if name.contains('.') {
            return None;
        }
        if depth > 0 {
            rest = rest.strip_prefix('.')?;
        }
        rest = rest.strip_prefix(name)?;
    }
    (rest.is_empty() || rest.starts_with('.')).then_some(rest)
}

impl Role {
    fn attribute(self) -> &'static str {
        match self {
            Self::MessageId => names::MESSAGE_ID,
            Self::Recipient { .. } => names::RECIPIENT,
            Self::Identity { .. } => Attribute::Identities.name(),
            Self::Channel { .. } => names::CHANNEL,
            Self::Status(_) => names::STATUS,
            Self::Time(_) => names::EVENT_TIME,
            Self::Text(attribute) | Self::Texts(attribute) | Self::Any(attribute) => attribute.name(),
        }
    }
}

fn equal(one: &[Field<'_>], other: &[Field<'_>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|((_, a), (_, b))| a == b)
}

/// Whether the fields with one documented name are equal.
fn agree(role: Option<Role>, one: &[Field<'_>], other: &[Field<'_>]) -> bool {
    match (one, other) {
        ([], [(_, value)]) | ([(_, value)], []) => value.is_empty(),
        ([(_, a)], [(_, b)]) => (a.is_empty() && b.is_empty()) || a == b || read_the_same(role, a, b),
        _ => equal(one, other),
    }
}

fn read_the_same(role: Option<Role>, one: &Exact<'_>, other: &Exact<'_>) -> bool {
    match role {
        None | Some(Role::Any(_)) => one.resembles(other),
        Some(Role::MessageId | Role::Text(_)) => both(one, other, |word| Some(word.to_owned())),
        Some(Role::Texts(_)) => {
            let (one, other) = (words(one), words(other));
            one.is_some() && one == other
        }
        Some(Role::Recipient { .. }) => both(one, other, phone_digits),
        Some(Role::Identity { kind }) => both(one, other, |word| person::identity(kind, word)),
        Some(Role::Channel { .. }) => both(one, other, |word| Some(Channel::from_word(word))),
        Some(Role::Status(_)) => both(one, other, |word| Status::from_word(word).ok()),
        Some(Role::Time(_)) => match (one.as_word(), other.as_word()) {
            (Some(one), Some(other)) => time::is_same(one, other),
            _ => false,
        },
    }
}

fn both<T: PartialEq>(one: &Exact<'_>, other: &Exact<'_>, read: impl Fn(&str) -> Option<T>) -> bool {
    let read = |value: &Exact<'_>| value.as_word().and_then(&read);
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// A list of words, or a single word.
fn words<'v>(value: &'v Exact<'_>) -> Option<Vec<&'v str>> {
    match value {
        Exact::List(list) => list.iter().map(Exact::as_word).collect(),
        one => one.as_word().map(|word| vec![word]),
    }
}
