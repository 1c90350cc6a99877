//! The values by which events and messages are counted.

use webhook_ingest::{
    events_table::item::{Item, RECIPIENT},
    facets,
};

/// The most different tags of an event or a message that are counted. Each tag of a period changes four items, and one of
/// a league table.
const MAX_TAGS: usize = 15;

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
        let recipient = item.get(RECIPIENT).and_then(|recipient| recipient.as_s().ok());
        let country = recipient.and_then(|recipient| phone_country::country(recipient));
        let mut dimensions = Self {
            bot: facets::bot(item),
            tags: facets::tags(item),
            campaign: facets::campaign(item),
            template: facets::template(item),
            country: country.map(|country| country.as_str().to_owned()),
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
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

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
