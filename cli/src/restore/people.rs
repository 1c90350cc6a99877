//! The people whose events must not return: those in the record of erasures, which has only digests, and those in a
//! file. The source is read for their ids first, so that events that only mention them are found as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use webhook_ingest::{
    event::EpochMillis,
    events_table::item::{Item, MESSAGE_ID, RECEIVED_AT, RECIPIENT, number_at, text_at},
    phone::Number,
};

use super::Options;
use crate::erase::{self, AnyOf, Erasures, Person};

/// Maximum of people in the file, and of erased people in the source: an event of one of them is compared with all.
const MAX_PEOPLE: usize = 10_000;

/// Who was erased.
pub(super) struct Erased {
    record: Option<Erasures>,
    /// Ids of the file, as stored.
    listed: BTreeSet<String>,
    source: Vec<String>,
}

impl Erased {
    /// Reads the record and the file.
    ///
    /// # Errors
    /// If neither exists and `--nobody-erased` is not given, or one of them cannot be read.
    pub(super) fn read(options: &Options, data: &Path) -> anyhow::Result<Self> {
        let mut erased = Self {
            record: None,
            listed: BTreeSet::new(),
            source: Vec::new(),
        };
        if options.nobody_erased {
            return Ok(erased);
        }
        let default = data.join(erase::RECORD);
        let record = options.record.as_ref().or(default.exists().then_some(&default));
        if let Some(file) = record {
            erased.record = Some(Erasures::read(file, data)?);
            erased.source.push(file.display().to_string());
        }
        if let Some(file) = &options.except_people {
            let text =
                fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            for (line, number) in text.lines().map(str::trim).zip(1..) {
                if line.is_empty() {
                    continue;
                }
                // The error of the id would quote it.
                let person = Person::new(&[line.to_owned()]).map_err(|_| {
                    anyhow!(
                        "{}, line {number}: not a phone number or another id of a person",
                        file.display()
                    )
                })?;
                erased.listed.extend(person.all_ids());
            }
            ensure!(
                erased.listed.len() <= MAX_PEOPLE,
                "{} has more than {MAX_PEOPLE} people",
                file.display()
            );
            erased.source.push(file.display().to_string());
        }
        if erased.source.is_empty() {
            bail!(
                "nothing says who was erased since the restored state, and their events must not return: there is no {}; name the record with --record or the people with --except-people, or confirm with --nobody-erased",
                default.display()
            );
        }
        Ok(erased)
    }

    /// The files that were read.
    pub(super) fn source(&self) -> Vec<String> {
        self.source.clone()
    }

    /// Whether nobody was erased.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.record.as_ref().is_none_or(Erasures::is_empty)
    }

    /// The stored id without the prefix of a number, and the time until which its events are left out; `None` if the
    /// id was not erased.
    fn until(&self, id: &str) -> Option<(String, EpochMillis)> {
        let id = Number::parse(id).map_or_else(|| id.to_owned(), |number| number.digits().to_owned());
        if self.listed.contains(&id) {
            return Some((id, EpochMillis::MAX));
        }
        let until = self.record.as_ref()?.latest(&id)?;
        Some((id, until))
    }
}

/// Erased people in a part of the source: the id, the time of the erasure, and the ids of their messages.
#[derive(Default)]
pub(super) struct FoundPeople(BTreeMap<String, (EpochMillis, BTreeSet<String>)>);

impl FoundPeople {
    /// Adds the person of an item, if it was erased.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn add(&mut self, erased: &Erased, item: &Item) -> anyhow::Result<()> {
        let ids = text_at(item, RECIPIENT)
            .into_iter()
            .chain(erase::identities(item));
        for (id, until) in ids.filter_map(|id| erased.until(id)) {
            let (_, messages) = self.0.entry(id).or_insert_with(|| (until, BTreeSet::new()));
            if !erase::is_shared(item) {
                messages.extend(text_at(item, MESSAGE_ID).map(str::to_owned));
            }
        }
        ensure!(
            self.0.len() <= MAX_PEOPLE,
            "the table has events of more than {MAX_PEOPLE} erased people; copy with --nobody-erased and erase them again"
        );
        Ok(())
    }
}

/// The people whose events are left out.
pub(super) struct People {
    each: Vec<(Person, EpochMillis)>,
    any: AnyOf,
}

impl People {
    /// The people of all parts, and those of the file.
    ///
    /// # Errors
    /// If they are too many.
    pub(super) fn new(erased: &Erased, parts: Vec<FoundPeople>) -> anyhow::Result<Self> {
        let listed = erased
            .listed
            .iter()
            .map(|id| (id.clone(), (EpochMillis::MAX, BTreeSet::new())));
        let mut all: BTreeMap<String, (EpochMillis, BTreeSet<String>)> = listed.collect();
        for FoundPeople(part) in parts {
            for (id, (until, messages)) in part {
                let (_, known) = all.entry(id).or_insert_with(|| (until, BTreeSet::new()));
                known.extend(messages);
            }
        }
        ensure!(all.len() <= 2 * MAX_PEOPLE, "too many people were erased");
        let people = all.into_iter().map(|(id, (until, messages))| {
            let mut person = Person::new(&[id])?;
            person.add_ids(messages)?;
            Ok((person, until))
        });
        let each = people.collect::<anyhow::Result<Vec<_>>>()?;
        let any = AnyOf::new(each.iter().map(|(person, _)| person))?;
        Ok(Self { each, any })
    }

    /// Whether an item belongs to one of them, or mentions one, as `erase` decides it, and arrived before the
    /// erasure.
    pub(super) fn leave_out(&self, item: &Item) -> bool {
        if !self.any.may_match(item) {
            return false;
        }
        let arrived = number_at(item, RECEIVED_AT).unwrap_or_default();
        self.each
            .iter()
            .any(|(person, until)| arrived <= *until && person.match_reason(item).is_some())
    }
}
