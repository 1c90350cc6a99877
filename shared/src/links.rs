//! Links between the ids of one person: a number, a `WhatsApp` user id and its predecessor, a parent id.
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

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{
    Client, config::http::HttpResponse, error::SdkError, operation::get_item::GetItemError,
    types::AttributeValue,
};
use futures::future::try_join_all;

use crate::{
    counters::{EXPIRES_AT, NO_PERIOD, PERIOD, SERIES},
    event::{
        Attribute,
        person::{self, MAX_IDS},
        time,
    },
    events_table::item::{self, Item, RECIPIENT, number_at},
};

/// The linked ids (SS).
pub const IDS: &str = "ids";
/// The most linked ids of one id.
pub const MAX_LINKED: usize = MAX_IDS - 1;
/// Beginning of an item's `series`.
const PREFIX: &str = "person#";

/// The attributes of an event that [`Links::add`] reads.
pub const ATTRIBUTES: [&str; 3] = [RECIPIENT, Attribute::Identities.name(), item::EXPIRES_AT];

/// The linked ids of one id, and when the link expires in epoch seconds (`i64::MAX` for never).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked {
    /// The ids.
    pub ids: BTreeSet<String>,
    /// The latest expiry of the events that name them.
    pub expires_at: i64,
}

/// The links of some events, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(BTreeMap<String, Linked>);

impl Links {
    /// Adds the links of an event's item. Most events name one id, and have none.
    pub fn add(&mut self, item: &Item) {
        let Some(AttributeValue::L(further)) = item.get(Attribute::Identities.name()) else {
            return;
        };
        let recipient = item.get(RECIPIENT).into_iter();
        let mut ids = recipient
            .chain(further)
            .filter_map(|id| id.as_s().ok())
            // Receivers store no others, and one that is no valid key would block the stream.
            .filter(|id| person::parse(id).as_ref() == Some(*id))
            .take(MAX_IDS);
        let Some(first) = ids.next() else { return };
        let expires_at = number_at(item, item::EXPIRES_AT).unwrap_or(i64::MAX);
        for other in ids.filter(|other| *other != first) {
            for (from, to) in [(first, other), (other, first)] {
                let linked = self.0.entry(from.clone()).or_default();
                linked.ids.insert(to.clone());
                linked.expires_at = linked.expires_at.max(expires_at);
            }
        }
    }

    /// The links.
    pub fn into_map(self) -> BTreeMap<String, Linked> {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The key of an id's item.
pub fn key(id: &str) -> Item {
    Item::from([
        (SERIES.to_owned(), AttributeValue::S(format!("{PREFIX}{id}"))),
        (PERIOD.to_owned(), AttributeValue::S(NO_PERIOD.to_owned())),
    ])
}

/// The id and the linked ids of an item of the counters' table; `None` if it is another kind of item.
pub fn of_item(item: &Item) -> Option<(&str, Linked)> {
    let id = item.get(SERIES)?.as_s().ok()?.strip_prefix(PREFIX)?;
    let ids = item.get(IDS).and_then(|ids| ids.as_ss().ok());
    let linked = Linked {
        ids: ids.into_iter().flatten().cloned().collect(),
        expires_at: number_at(item, EXPIRES_AT).unwrap_or(i64::MAX),
    };
    Some((id, linked))
}

/// The linked ids of an id; `None` if it has none. Expired links that `DynamoDB` did not delete yet are included.
///
/// # Errors
/// If the table does not answer.
pub async fn read(
    client: &Client,
    table: &str,
    id: &str,
    consistent: bool,
) -> Result<Option<Linked>, SdkError<GetItemError, HttpResponse>> {
    let answer = client
        .get_item()
        .table_name(table)
        .set_key(Some(key(id)))
        .consistent_read(consistent)
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
        let reads: Vec<_> = step.iter().map(|id| read(client, table, id, true)).collect();
        let found = try_join_all(reads).await?;
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
        assert_eq!(
            links.into_map(),
            expected.map(|(id, to)| (id.to_owned(), to)).into()
        );
    }

    #[test]
    fn only_items_of_people_are_links() {
        let mut item = key("whatsapp:IN.1");
        item.insert(IDS.to_owned(), AttributeValue::Ss(vec!["9191".into()]));
        let (id, linked) = of_item(&item).unwrap();
        assert_eq!(
            (id, linked.ids, linked.expires_at),
            ("whatsapp:IN.1", ["9191".to_owned()].into(), i64::MAX)
        );
        item.insert(SERIES.to_owned(), AttributeValue::S("0#all".into()));
        assert!(of_item(&item).is_none());
    }
}
