//! Searches the counters' table for a person, and deletes the links of the person's ids and the lookups that lead to the
//! person or to its messages. Names of
//! counters contain values from providers: bots, tags, statuses, types, reasons. `projector` redacts
//! ids of people in them; counters of earlier versions may contain some, and `rollups rebuild`
//! replaces those counters.

use anyhow::Context as _;
use aws_sdk_dynamodb::{operation::delete_item::DeleteItemError, types::AttributeValue};
use webhook_ingest::{
    counters,
    events_table::item::Item,
    links::{self, LinkKey, Linked, lookups},
    personal::redact,
};

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
    /// Links and lookups that name the person or its messages.
    pub linked: Vec<Link>,
    /// The first names in these items, redacted.
    pub names: Vec<String>,
}

/// An item with ids of a person or of its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its key.
    pub key: LinkKey,
    /// The ids to delete; `None` for all, because the key names the person.
    pub own: Option<Vec<String>>,
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

/// Deletes the person from the links and lookups: the items whose key names the person, and the person's ids in other
/// items. Deleting again succeeds.
pub(super) async fn unlink(target: &Target, linked: &[Link]) -> anyhow::Result<()> {
    let (client, table) = (&target.aws.dynamodb, &target.rollups_table);
    for Link { key, own } in linked {
        let failed = "the counters' table did not accept the deletion of a link";
        let mut delete = client
            .delete_item()
            .table_name(table)
            .set_key(Some(key.attributes()));
        if let Some(own) = own {
            client
                .update_item()
                .table_name(table)
                .set_key(Some(key.attributes()))
                .update_expression("DELETE #ids :own")
                .expression_attribute_names("#ids", links::IDS)
                .expression_attribute_values(":own", AttributeValue::Ss(own.clone()))
                .send()
                .await
                .context(failed)?;
            delete = delete
                .condition_expression("attribute_not_exists(#ids)")
                .expression_attribute_names("#ids", links::IDS);
        }
        match delete.send().await {
            // Ids of others are left.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) => {}
            result => {
                result.context(failed)?;
            }
        }
    }
    Ok(())
}

impl Counters {
    fn add(&mut self, person: &Person, item: &Item) {
        if let Some((key, linked)) = links::of_item(item) {
            self.linked.extend(link(person, key, linked));
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

/// What to delete of an item with links; `None` if it does not name the person.
fn link(person: &Person, key: LinkKey, linked: Linked) -> Option<Link> {
    let own = person.all_ids();
    let names_person = match (key.person(), lookups::value(&key)) {
        (Some(id), _) => own.iter().any(|own| own == id),
        (None, Some(value)) => person.is_named_in(value),
        (None, None) => false,
    };
    let is_own = |id: &String| match lookups::value(&key) {
        Some(_) => {
            let (recipient, message_id) = lookups::parts(id);
            person.has_id_in(recipient) || person.is_named_in(message_id)
        }
        None if key.is_lookup() => person.has_id_in(id),
        None => own.contains(id),
    };
    let ids: Vec<String> = linked.ids.into_iter().filter(|id| is_own(id)).collect();
    let own = (!names_person).then_some(ids);
    let is_foreign = own.as_ref().is_some_and(Vec::is_empty);
    (!is_foreign).then_some(Link { key, own })
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
