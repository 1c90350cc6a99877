//! Links between the ids of one person: a number, a `WhatsApp` user id and its predecessor, a parent id. And the
//! [`lookups`] of the search, which are items of the same form.
//!
//! An event that names several ids of a person links them. `projector` writes the links into the counters' table;
//! `dashboard` and `erase` read them by id. An id has one item:
//!
//! | `series` | `period` | `ids` (SS) | `expires_at` (N) |
//! |---|---|---|---|
//! | `person#whatsapp:IN.1346` | `-` | the ids that were named together with it, at most 15 | of the latest such event, and up to a week more |
//!
//! - The links of an event exist some seconds after it (the delay of the stream). They are eventually consistent.
//! - They are written at least once, and writing again changes nothing. A rebuild of the counters writes them again.
//! - Further ids of an item beyond the limit are not linked, whatever senders write. Their events stay findable by
//!   the id itself.

pub mod lookups;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{
    Client, config::http::HttpResponse, error::SdkError, operation::get_item::GetItemError,
};
use futures::future::try_join_all;

use crate::{
    counters::{EXPIRES_AT, NO_PERIOD, PERIOD, SERIES, key_of},
    event::{
        Attribute,
        person::{self, MAX_IDS},
        time,
    },
    events_table::item::{self, EVENT_TIME, Item, MESSAGE_ID, RECIPIENT, number_at},
};

use self::lookups::Searched;

/// The linked ids (SS).
pub const IDS: &str = "ids";
/// The most linked ids of one id.
pub const MAX_LINKED: usize = MAX_IDS - 1;
/// Beginning of an item's `series`.
const PREFIX: &str = "person#";

/// The attributes of an event that [`Links::add`] reads.
pub const ATTRIBUTES: [&str; 7] = [
    MESSAGE_ID,
    EVENT_TIME,
    RECIPIENT,
    Attribute::Identities.name(),
    Attribute::RequestId.name(),
    Attribute::CallbackData.name(),
    item::EXPIRES_AT,
];

/// The key of an item with links.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    /// Partition key.
    pub series: String,
    /// Sort key.
    pub period: String,
}

impl LinkKey {
    /// The key of the ids of a person with this id.
    pub fn of_person(id: &str) -> Self {
        Self {
            series: format!("{PREFIX}{id}"),
            period: NO_PERIOD.to_owned(),
        }
    }

    /// The id of a person; `None` for a lookup.
    pub fn person(&self) -> Option<&str> {
        self.series.strip_prefix(PREFIX)
    }

    /// Whether only the search uses this item.
    pub fn is_lookup(&self) -> bool {
        self.series.starts_with(lookups::PREFIX)
    }

    /// Whether an item with this key has room for an id beside these.
    pub fn has_room(&self, ids: &BTreeSet<String>, id: &str) -> bool {
        if self.is_lookup() {
            ids.iter().map(String::len).sum::<usize>() + id.len() <= lookups::MAX_BYTES
        } else {
            ids.len() < MAX_LINKED
        }
    }

    /// The key attributes of the item.
    pub fn attributes(&self) -> Item {
        key_of(self.series.clone(), self.period.clone())
    }

    /// The key of an item; `None` if it is another kind of item.
    fn of_item(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        let key = Self {
            series: text(SERIES)?,
            period: text(PERIOD)?,
        };
        (key.person().is_some() || key.is_lookup()).then_some(key)
    }
}

/// The linked ids of one id, and when the link expires in epoch seconds (`i64::MAX` for never).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked {
    /// The ids.
    pub ids: BTreeSet<String>,
    /// The latest expiry of the events that name them.
    pub expires_at: i64,
}

/// The links of some events, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(BTreeMap<LinkKey, Linked>);

impl Links {
    /// Adds the links and lookups of an event's item. Most events name one id of a person.
    pub fn add(&mut self, item: &Item) {
        let expires_at = number_at(item, item::EXPIRES_AT).unwrap_or(i64::MAX);
        let further = item.get(Attribute::Identities.name());
        let further = further.and_then(|further| further.as_l().ok());
        let recipient = item.get(RECIPIENT).into_iter();
        let ids: Vec<&String> = recipient
            .chain(further.into_iter().flatten())
            .filter_map(|id| id.as_s().ok())
            // Receivers store no others, and one that is no valid key would block the stream.
            .filter(|id| person::parse(id).as_ref() == Some(*id))
            .take(MAX_IDS)
            .collect();
        for id in &ids {
            self.link(lookups::number(id), id, expires_at);
        }
        if let Some((first, others)) = ids.split_first() {
            for other in others.iter().filter(|other| *other != first) {
                self.link(Some(LinkKey::of_person(first)), other, expires_at);
                self.link(Some(LinkKey::of_person(other)), first, expires_at);
            }
        }
        self.add_message(item, ids.first().map_or("", |id| id.as_str()), expires_at);
    }

    /// Adds the lookups that lead to the event's message.
    fn add_message(&mut self, item: &Item, recipient: &str, expires_at: i64) {
        let text = |name: &str| item.get(name)?.as_s().ok();
        let (Some(message_id), Some(at)) = (text(MESSAGE_ID), number_at(item, EVENT_TIME)) else {
            return;
        };
        let Some(id) = lookups::id(recipient, message_id) else {
            return;
        };
        let day = time::utc_day(at);
        for (searched, attribute) in [
            (Searched::Request, Attribute::RequestId),
            (Searched::Callback, Attribute::CallbackData),
        ] {
            // A message that can be found by its id needs no lookup by the same text.
            if let Some(value) = text(attribute.name()).filter(|value| *value != message_id) {
                self.link(
                    lookups::message(searched, value, &day, message_id),
                    &id,
                    expires_at,
                );
            }
        }
    }

    fn link(&mut self, key: Option<LinkKey>, id: &str, expires_at: i64) {
        let Some(key) = key else { return };
        let linked = self.0.entry(key).or_default();
        linked.ids.insert(id.to_owned());
        linked.expires_at = linked.expires_at.max(expires_at);
    }

    /// The links.
    pub fn into_map(self) -> BTreeMap<LinkKey, Linked> {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The key and the linked ids of an item of the counters' table; `None` if it is another kind of item.
pub fn of_item(item: &Item) -> Option<(LinkKey, Linked)> {
    let ids = item.get(IDS).and_then(|ids| ids.as_ss().ok());
    let linked = Linked {
        ids: ids.into_iter().flatten().cloned().collect(),
        expires_at: number_at(item, EXPIRES_AT).unwrap_or(i64::MAX),
    };
    Some((LinkKey::of_item(item)?, linked))
}

/// The linked ids of a key, with strong consistency; `None` if it has no item. Expired links that `DynamoDB` did not
/// delete yet are included.
///
/// # Errors
/// If the table does not answer.
pub async fn read(
    client: &Client,
    table: &str,
    key: &LinkKey,
) -> Result<Option<Linked>, SdkError<GetItemError, HttpResponse>> {
    let answer = client
        .get_item()
        .table_name(table)
        .set_key(Some(key.attributes()))
        .consistent_read(true)
        .send()
        .await?;
    Ok(answer.item.as_ref().and_then(of_item).map(|(_, linked)| linked))
}

/// All ids of the person with these ids, these first: the linked ids, the ids linked to those, and so on; at most
/// [`MAX_IDS`]. Reads one item for each id, those of one step at the same time.
///
/// # Errors
/// If the table does not answer.
pub async fn all(
    client: &Client,
    table: &str,
    ids: &[String],
) -> Result<Vec<String>, SdkError<GetItemError, HttpResponse>> {
    let now = time::now() / 1000;
    let mut all: Vec<String> = ids.iter().take(MAX_IDS).cloned().collect();
    let mut asked = 0;
    while asked < all.len() && all.len() < MAX_IDS {
        let step = all.get(asked..).unwrap_or_default();
        let keys: Vec<LinkKey> = step.iter().map(|id| LinkKey::of_person(id)).collect();
        let found = try_join_all(keys.iter().map(|key| read(client, table, key))).await?;
        asked = all.len();
        for id in found
            .into_iter()
            .flatten()
            .filter(|linked| linked.expires_at > now)
            .flat_map(|linked| linked.ids)
        {
            if all.len() < MAX_IDS && !all.contains(&id) {
                all.push(id);
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    fn event(recipient: Option<&str>, further: &[&str], expires_at: Option<i64>) -> Item {
        let text = |id: &str| AttributeValue::S(id.to_owned());
        let further = further.iter().map(|id| text(id)).collect();
        let mut item = Item::from([("identities".to_owned(), AttributeValue::L(further))]);
        item.extend(recipient.map(|id| ("recipient".to_owned(), text(id))));
        item.extend(expires_at.map(|at| ("expires_at".to_owned(), AttributeValue::N(at.to_string()))));
        item
    }

    #[test]
    fn an_event_links_its_first_id_with_the_others_in_both_directions() {
        let mut links = Links::default();
        links.add(&event(
            Some("9191"),
            &["whatsapp:A", "whatsapp:B", "9191"],
            Some(5),
        ));
        links.add(&event(Some("9191"), &["whatsapp:A"], Some(3)));
        links.add(&event(None, &["whatsapp:B", "whatsapp:C"], None));
        links.add(&event(Some("9292"), &["", "name", "mailto:nobody"], Some(9)));
        links.add(&Item::from([(
            "recipient".to_owned(),
            AttributeValue::S("9393".into()),
        )]));
        let linked = |ids: &[&str], expires_at| Linked {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            expires_at,
        };
        let expected = [
            ("9191", linked(&["whatsapp:A", "whatsapp:B"], 5)),
            ("whatsapp:A", linked(&["9191"], 5)),
            ("whatsapp:B", linked(&["9191", "whatsapp:C"], i64::MAX)),
            ("whatsapp:C", linked(&["whatsapp:B"], i64::MAX)),
        ];
        let mut people = links.into_map();
        people.retain(|key, _| key.person().is_some());
        assert_eq!(
            people,
            expected.map(|(id, to)| (LinkKey::of_person(id), to)).into()
        );
    }

    #[test]
    fn an_event_leads_from_digits_request_and_callback_data_to_its_ids() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut item = event(
            Some("919812345678"),
            &["whatsapp:IN.1346", "919812349999"],
            Some(7),
        );
        item.extend([
            ("message_id".to_owned(), text("m-1")),
            ("event_time".to_owned(), AttributeValue::N("1795262400000".into())),
            ("request_id".to_owned(), text("r-1")),
            ("callback_data".to_owned(), text(" ")),
        ]);
        let mut links = Links::default();
        links.add(&item);
        item.insert("request_id".to_owned(), text("m-1"));
        links.add(&item);
        let mut found = links.into_map();
        found.retain(|key, _| key.is_lookup());
        let found: Vec<(String, String, Vec<String>, i64)> = found
            .into_iter()
            .map(|(key, linked)| {
                (
                    key.series,
                    key.period,
                    linked.ids.into_iter().collect(),
                    linked.expires_at,
                )
            })
            .collect();
        let expected = [
            ("find#digits#5678", "876543218919", "919812345678"),
            ("find#digits#9999", "999943218919", "919812349999"),
            ("find#request#r-1", "2026-11-21#SLOT", "919812345678 m-1"),
        ];
        assert_eq!(found.len(), 3, "{found:?}");
        for ((series, period, ids, expires_at), expected) in found.iter().zip(expected) {
            let period = match period.split_once('#') {
                Some((day, _)) => format!("{day}#SLOT"),
                None => period.clone(),
            };
            assert_eq!((series.as_str(), period.as_str(), ids[0].as_str()), expected);
            assert_eq!((ids.len(), *expires_at), (1, 7));
        }
    }

    #[test]
    fn only_items_of_people_and_lookups_are_links() {
        let mut item = LinkKey::of_person("whatsapp:IN.1").attributes();
        item.insert(IDS.to_owned(), AttributeValue::Ss(vec!["9191".into()]));
        let (key, linked) = of_item(&item).unwrap();
        assert_eq!(
            (key.person(), linked.ids, linked.expires_at),
            (Some("whatsapp:IN.1"), ["9191".to_owned()].into(), i64::MAX)
        );
        item.insert(
            SERIES.to_owned(),
            AttributeValue::S("find#request#person#x".into()),
        );
        let (key, _) = of_item(&item).unwrap();
        assert!(key.is_lookup() && key.person().is_none());
        item.insert(SERIES.to_owned(), AttributeValue::S("0#all".into()));
        assert!(of_item(&item).is_none());
    }
}
