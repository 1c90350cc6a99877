//! Compares the names of campaigns and tags, which the counters register, with a text.

use webhook_ingest::events_table::item::Item;

use super::{answer::FoundKind, asked::Term};

/// The kinds of names, and the attributes with these names.
pub(super) const KINDS: [(FoundKind, &str); 2] =
    [(FoundKind::Campaign, "campaigns"), (FoundKind::Tag, "tags")];

/// A name that begins with the text, or has a word that begins with each of its words. Letter case does not matter.
pub(super) struct Wanted {
    text: String,
    words: Vec<String>,
}

impl Wanted {
    /// `None` if the text has no word.
    pub(super) fn of(term: &Term) -> Option<Self> {
        let text = term.text()?.to_lowercase();
        let words: Vec<String> = words(&text).map(str::to_owned).collect();
        (!words.is_empty()).then_some(Self { text, words })
    }

    fn is(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        name.starts_with(&self.text)
            || self
                .words
                .iter()
                .all(|wanted| words(&name).any(|word| word.starts_with(wanted.as_str())))
    }

    /// The names in pages of names, those of the latest days first. Each occurs once.
    pub(super) fn among(&self, pages: &[Item], attribute: &str) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let names = pages
            .iter()
            .filter_map(|page| page.get(attribute)?.as_ss().ok())
            .flatten();
        names
            .filter(|name| seen.insert(name.as_str()) && self.is(name))
            .cloned()
            .collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    #[test]
    fn a_name_is_found_by_its_beginning_or_its_words() {
        let pages = [
            &["Summer-Sale 2026", "winter", "सर्दी की बिक्री"][..],
            &["winter", "WINTER_summer", "50% off"],
        ]
        .map(|names| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Item::from([("tags".to_owned(), AttributeValue::Ss(names))])
        });
        for (text, expected) in [
            ("summer-sa", &["Summer-Sale 2026"][..]),
            ("sale summ", &["Summer-Sale 2026"]),
            ("WINT", &["winter", "WINTER_summer"]),
            ("summer", &["Summer-Sale 2026", "WINTER_summer"]),
            ("ummer", &[]),
            ("बिक्री", &["सर्दी की बिक्री"]),
            ("50%", &["50% off"]),
            ("summer winter", &["WINTER_summer"]),
        ] {
            let wanted = Wanted::of(&Term::from(text.to_owned())).unwrap();
            assert_eq!(wanted.among(&pages, "tags"), expected, "{text}");
            assert_eq!(wanted.among(&pages, "campaigns"), [""; 0]);
        }
        assert!(Wanted::of(&Term::from("- #".to_owned())).is_none());
    }
}
