//! Searches the counters' table for a person, and deletes the links of the person's ids. Names of
//! counters contain values from providers: bots, tags, statuses, types, reasons. `projector` redacts
//! ids of people in them; counters of earlier versions may contain some, and `rollups rebuild`
//! replaces those counters.

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use webhook_ingest::{counters, events_table::item::Item, links, personal::redact};

use super::person::Person;
use crate::target::Target;

/// Maximum number of names in the report.
const LISTED: usize = 10;

/// Counters that contain an id of a person, and the person's links.
#[derive(Debug, Default)]
pub struct Counters {
    /// Items that were read.
    pub read: usize,
    /// Counters that contain an id of the person.
    pub found: usize,
    /// Ids whose links name the person.
    pub linked: Vec<String>,
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

/// Deletes the person from the links: an own id's item, and the own ids in the items of others. Deleting again
/// succeeds.
pub(super) async fn unlink(target: &Target, person: &Person, linked: &[String]) -> anyhow::Result<()> {
    let own = person.all_ids();
    let (client, table) = (&target.aws.dynamodb, &target.rollups_table);
    for id in linked {
        let failed = "the counters' table did not accept the deletion of a link";
        if own.contains(id) {
            client
                .delete_item()
                .table_name(table)
                .set_key(Some(links::key(id)))
                .send()
                .await
                .context(failed)?;
        } else {
            client
                .update_item()
                .table_name(table)
                .set_key(Some(links::key(id)))
                .update_expression("DELETE #ids :own")
                .expression_attribute_names("#ids", links::IDS)
                .expression_attribute_values(":own", AttributeValue::Ss(own.clone()))
                .send()
                .await
                .context(failed)?;
        }
    }
    Ok(())
}

impl Counters {
    fn add(&mut self, person: &Person, item: &Item) {
        if let Some((id, linked)) = links::of_item(item) {
            let own = person.all_ids();
            if own.iter().any(|own| own == id || linked.ids.contains(own)) {
                self.linked.push(id.to_owned());
            }
            return;
        }
        let named: Vec<&str> = item
            .iter()
            .filter(|(name, _)| *name != counters::PERIOD)
            .flat_map(|(name, value)| texts(value).chain([name.as_str()]))
            .filter(|text| person.has_id_in(text))
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
