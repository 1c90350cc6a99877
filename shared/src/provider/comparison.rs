//! Compares two records of one format, field by field.

use super::{Format, Role, mapping::phone_digits};
use crate::{
    event::{Channel, Status, names, time},
    record::exact::{Exact, Field, groups},
};

/// The attributes that hold the fields in which two records differ, in order. Empty if the records are equal.
///
/// Two spellings of a documented field are equal if they are read as the same value; absent and empty are
/// equal. Other fields must have equal values. A repeated field name must be repeated in both records.
pub(crate) fn differing(format: &Format, one: &[Field<'_>], other: &[Field<'_>]) -> Vec<&'static str> {
    if !format.aliases.is_empty() {
        let (one, other) = (format.with_own_names(one), format.with_own_names(other));
        return differing_by_name(format, &one, &other);
    }
    differing_by_name(format, one, other)
}

fn differing_by_name(format: &Format, one: &[Field<'_>], other: &[Field<'_>]) -> Vec<&'static str> {
    let mut attributes: Vec<&'static str> = groups(one, other)
        .filter_map(|(name, one, other)| {
            let (attribute, agree) = match format.role(name) {
                Some((attribute, role)) => (attribute, agree(role, one, other)),
                None => (names::EXTRA, equal(one, other)),
            };
            (!agree).then_some(attribute)
        })
        .collect();
    attributes.sort_unstable();
    attributes.dedup();
    attributes
}

impl Format {
    /// The attribute that holds a documented field, and its role if it has one.
    fn role(&self, name: &str) -> Option<(&'static str, Option<Role>)> {
        if let Some((_, role)) = self.fields.iter().find(|(field, _)| *field == name) {
            return Some((role.attribute(), Some(*role)));
        }
        let (_, attribute) = self.also.iter().find(|(field, _)| *field == name)?;
        Some((attribute, None))
    }
}

impl Role {
    fn attribute(self) -> &'static str {
        match self {
            Self::MessageId => names::MESSAGE_ID,
            Self::Recipient { .. } => names::RECIPIENT,
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
