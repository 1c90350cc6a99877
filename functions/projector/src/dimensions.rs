//! The values by which events and messages are counted.

use aws_sdk_dynamodb::types::AttributeValue;
use webhook_ingest::{
    counters,
    event::Attribute,
    events_table::item::{Item, RECIPIENT},
};

/// The most different tags of an event or a message that are counted. Each tag of a period needs four items of a
/// transaction's 100, and one of a league table.
const MAX_TAGS: usize = 15;
/// The most characters of a template's code. Longer ones are not codes.
const MAX_TEMPLATE_CHARS: usize = 200;

/// The values by which an event or a message is counted. Contains no phone numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dimensions {
    /// The bot that sent the message.
    pub bot: Option<String>,
    /// The sender's labels, sorted, without duplicates.
    pub tags: Vec<String>,
    /// The campaign.
    pub campaign: Option<String>,
    /// The template of the message.
    pub template: Option<String>,
    /// The person's country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
}

impl Dimensions {
    /// The values that an event has itself.
    pub(crate) fn of(item: &Item) -> Self {
        let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
        let word = |name: &str| text(name).map(counters::word).filter(|word| !word.is_empty());
        let mut dimensions = Self {
            bot: word(Attribute::BotId.name()),
            tags: tags(item),
            campaign: word(Attribute::Campaign.name()),
            template: template(item),
            country: text(RECIPIENT)
                .and_then(phone_country::country)
                .map(|country| country.as_str().to_owned()),
        };
        dimensions.limit();
        dimensions
    }

    /// Adds the values of another event of the same message, or of the message that a reply answers. Existing single
    /// values stay.
    pub(crate) fn inherit(&mut self, other: &Self) {
        let take = |mine: &mut Option<String>, theirs: &Option<String>| {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        };
        take(&mut self.bot, &other.bot);
        take(&mut self.campaign, &other.campaign);
        take(&mut self.template, &other.template);
        take(&mut self.country, &other.country);
        self.tags.extend(other.tags.iter().cloned());
        self.limit();
    }

    fn limit(&mut self) {
        self.tags.sort_unstable();
        self.tags.dedup();
        self.tags.truncate(MAX_TAGS);
    }

    /// The most items that a transaction writes for counts with these values: a day and a quarter of an hour for each
    /// series, and an item for each row of a league table.
    pub(crate) fn most_items(&self) -> usize {
        let single = [&self.bot, &self.campaign, &self.template, &self.country];
        let single = single.into_iter().flatten().count();
        let pairs = if self.bot.is_some() { self.tags.len() } else { 0 };
        (1 + single + self.tags.len() + pairs) * 2 + single + self.tags.len()
    }
}

fn tags(item: &Item) -> Vec<String> {
    let tags: Vec<&String> = match item.get(Attribute::Tags.name()) {
        Some(AttributeValue::L(list)) => list.iter().filter_map(|tag| tag.as_s().ok()).collect(),
        Some(AttributeValue::S(tag)) => vec![tag],
        _ => Vec::new(),
    };
    let mut tags: Vec<String> = tags.into_iter().map(|tag| counters::word(tag)).collect();
    tags.retain(|tag| !tag.is_empty());
    tags
}

/// Netcore's metadata of a tap is JSON text with the code of the message's template (`templateCode`).
fn template(item: &Item) -> Option<String> {
    let click = item.get(Attribute::Click.name())?.as_m().ok()?;
    let code = match click.get("metadata")? {
        AttributeValue::S(text) => {
            let metadata: serde_json::Value = serde_json::from_str(text).ok()?;
            metadata.get("templateCode")?.as_str()?.to_owned()
        }
        AttributeValue::M(metadata) => metadata.get("templateCode")?.as_s().ok()?.clone(),
        _ => return None,
    };
    let is_code = !code.trim().is_empty() && code.chars().count() <= MAX_TEMPLATE_CHARS;
    is_code.then(|| counters::word(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> AttributeValue {
        AttributeValue::S(t.into())
    }

    fn tagged(tags: Vec<&str>) -> Item {
        let tags = AttributeValue::L(tags.into_iter().map(text).collect());
        Item::from([("tags".into(), tags)])
    }

    #[test]
    fn the_first_fifteen_different_tags_are_counted_in_order() {
        assert_eq!(Dimensions::of(&tagged(vec!["b", "a", "b", " "])).tags, ["a", "b"]);
        let names: Vec<String> = (10..50).map(|n| format!("t{n}")).collect();
        let many = tagged(names.iter().rev().map(String::as_str).collect());
        assert_eq!(Dimensions::of(&many).tags, names[..15]);
        let mut all = Dimensions::of(&many);
        all.inherit(&Dimensions::of(&tagged(vec!["a"])));
        assert_eq!((all.tags.len(), all.tags[0].as_str()), (15, "a"));
    }

    #[test]
    fn a_tap_of_netcore_names_its_template() {
        let metadata =
            r#"{"msgId":"api-337-918983190458-f1","templateCode":"temp_new_promo","suggestionIndex":0}"#;
        let click = AttributeValue::M(Item::from([("metadata".into(), text(metadata))]));
        let of = |click: AttributeValue| Dimensions::of(&Item::from([("click".into(), click)])).template;
        assert_eq!(of(click).as_deref(), Some("temp_new_promo"));
        for other in ["", "{", "[]", r#"{"templateCode":7}"#, r#"{"templateCode":" "}"#] {
            let click = AttributeValue::M(Item::from([("metadata".into(), text(other))]));
            assert_eq!(of(click), None, "{other}");
        }
        assert_eq!(of(text("x")), None);
    }

    #[test]
    fn an_event_of_a_message_adds_what_others_lack() {
        let mut one = Dimensions {
            bot: Some("682".into()),
            tags: vec!["a".into()],
            ..Dimensions::default()
        };
        one.inherit(&Dimensions {
            bot: Some("714".into()),
            campaign: Some("Spring".into()),
            tags: vec!["b".into(), "a".into()],
            ..Dimensions::default()
        });
        assert_eq!(one.bot.as_deref(), Some("682"));
        assert_eq!(one.campaign.as_deref(), Some("Spring"));
        assert_eq!(one.tags, ["a", "b"]);
    }
}
