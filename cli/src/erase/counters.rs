//! Searches the counters' table for a person. Names of counters contain values from providers:
//! bots, tags, statuses, types, reasons. `projector` redacts numbers in them; counters of earlier
//! versions may contain numbers, and `rollups rebuild` replaces those counters.

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use webhook_ingest::{counters, events_table::item::Item, phone::redact};

use super::person::Person;
use crate::target::Target;

/// Maximum number of names in the report.
const LISTED: usize = 10;

/// Counters that contain a number of a person.
#[derive(Debug, Default)]
pub struct Counters {
    /// Items that were read.
    pub read: usize,
    /// Items that contain a number of the person.
    pub found: usize,
    /// The first names in these items, redacted.
    pub names: Vec<String>,
}

/// Reads the whole table.
pub(super) async fn find(target: &Target, person: &Person) -> anyhow::Result<Counters> {
    let mut counters = Counters::default();
    let mut pages = target
        .aws
        .dynamodb
        .scan()
        .table_name(&target.rollups_table)
        .consistent_read(true)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let items = page
            .context("the counters' table does not answer")?
            .items
            .unwrap_or_default();
        for item in &items {
            counters.read += 1;
            counters.add(person, item);
        }
    }
    Ok(counters)
}

impl Counters {
    fn add(&mut self, person: &Person, item: &Item) {
        let named: Vec<&str> = item
            .iter()
            .filter(|(name, _)| *name != counters::PERIOD)
            .flat_map(|(name, value)| texts(value).chain([name.as_str()]))
            .filter(|text| person.has_number_in(text))
            .collect();
        self.found += usize::from(!named.is_empty());
        for name in named {
            let name = redact(name).into_owned();
            if self.names.len() < LISTED && !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }
}

/// The texts of an attribute. Numeric values are skipped: they are counts and times.
fn texts(value: &AttributeValue) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        AttributeValue::S(text) => Box::new(std::iter::once(text.as_str())),
        AttributeValue::Ss(list) => Box::new(list.iter().map(String::as_str)),
        AttributeValue::L(list) => Box::new(list.iter().flat_map(texts)),
        AttributeValue::M(fields) => Box::new(
            fields
                .iter()
                .flat_map(|(name, value)| texts(value).chain([name.as_str()])),
        ),
        _ => Box::new(std::iter::empty()),
    }
}
