//! Other names of a format's fields. A record is read, compared and rebuilt with the name that was sent.

use serde_json::Value;

use super::{Format, Role, mapping::Draft};
use crate::record::{Unreadable, exact::Field};

impl Format {
    /// The name under which a record has a listed field: the field's own name, else the first of its aliases
    /// in any letter case. The result does not depend on the order of the record's fields.
    pub(super) fn name_in<'n>(
        &self,
        field: &'n str,
        names: &(impl Iterator<Item = &'n str> + Clone),
    ) -> Option<&'n str> {
        if names.clone().any(|name| name == field) {
            return Some(field);
        }
        let (_, aliases) = self.aliases.iter().find(|(of, _)| *of == field)?;
        let mut spellings = std::iter::once(field).chain(aliases.iter().copied());
        spellings.find_map(|spelling| {
            let matching = names.clone().filter(|name| name.eq_ignore_ascii_case(spelling));
            matching.min()
        })
    }

    /// Whether a name is that of a listed field, or one of its aliases.
    pub(super) fn is_name_of(&self, field: &str, name: &str) -> bool {
        name == field
            || self.aliases.iter().any(|(of, aliases)| {
                *of == field
                    && (name.eq_ignore_ascii_case(field)
                        || aliases.iter().any(|alias| name.eq_ignore_ascii_case(alias)))
            })
    }

    /// Whether a name in a record is that of the message id.
    pub(crate) fn is_id(&self, name: &str) -> bool {
        self.is_name_of(self.id_field(), name)
    }

    /// Whether one of a record's names is an alias of a listed field.
    pub(super) fn has_alias<'n>(&self, field: &str, mut names: impl Iterator<Item = &'n str>) -> bool {
        names.any(|name| name != field && self.is_name_of(field, name))
    }

    /// Whether a name is an alias of any listed field.
    pub(super) fn is_alias(&self, name: &str) -> bool {
        self.aliases.iter().any(|(field, _)| self.is_name_of(field, name))
    }

    /// A record with the fields' own names, sorted.
    pub(super) fn with_own_names<'a>(&self, record: &[Field<'a>]) -> Vec<Field<'a>> {
        let mut renamed = record.to_vec();
        for (field, _) in self.aliases {
            let names = record.iter().map(|(name, _)| name.as_ref());
            let Some(sent) = self.name_in(field, &names).filter(|sent| sent != field) else {
                continue;
            };
            for (name, _) in &mut renamed {
                if name.as_ref() == sent {
                    *name = (*field).into();
                }
            }
        }
        // Stable: the order of fields with one name matters.
        renamed.sort_by(|(a, _), (b, _)| a.cmp(b));
        renamed
    }
}

impl Draft<'_> {
    /// Gives a listed field its role, under the name that the record has.
    pub(super) fn map_named(
        &mut self,
        format: &Format,
        field: &'static str,
        role: Role,
    ) -> Result<(), Unreadable> {
        let sent = if format.aliases.is_empty() {
            None
        } else {
            let name = format.name_in(field, &self.record.names());
            name.filter(|name| *name != field).map(str::to_owned)
        };
        let Some(alias) = sent else {
            return self.map(field, role);
        };
        let value = self.record.take(&alias).unwrap_or(Value::Null);
        self.record.put(field, value.clone());
        self.map(field, role)?;
        self.as_sent.remove(field);
        match self.unlisted.remove(field) {
            Some(value) => self.unlisted.insert(alias, value),
            // An alias in `as_sent` takes the place of the field, see `EventContent::record`.
            None => self.as_sent.insert(alias, value),
        };
        Ok(())
    }
}
