//! `RATE_CARD`: the prices of messages.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use webhook_ingest::counters::{self, Charged, NO_CATEGORY};

use crate::answers::{Spend, SpendRow, UnpricedRow};

/// Matches every value.
const ANY: &str = "*";
/// The most rates of a card.
const MAX_RATES: usize = 1_000;

/// `{"currency":"INR","rates":[{"country":"IN","channel":"SMS","category":"*","per":"delivered","price":0.12}]}`.
///
/// `country`, `channel` and `category` are `*` if they are left out. The most precise rate applies: country before
/// channel before category. `per` is `sent` or `delivered` (default): what the provider charges for. Messages that the
/// provider declares free cost nothing, whatever the card says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateCard {
    currency: String,
    rates: Vec<Rate>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    #[serde(default = "any")]
    country: String,
    #[serde(default = "any")]
    channel: String,
    #[serde(default = "any")]
    category: String,
    #[serde(default)]
    per: Per,
    price: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Per {
    Sent,
    #[default]
    Delivered,
}

fn any() -> String {
    ANY.to_owned()
}

/// Why a text is not a rate card.
#[derive(Debug, PartialEq, Eq)]
pub struct RateCardError(String);

impl fmt::Display for RateCardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RateCard {
    /// Parses the variable.
    ///
    /// # Errors
    /// The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, RateCardError> {
        let mut card: Self = serde_json::from_str(text)
            .map_err(|error| RateCardError(format!("is not a rate card: {error}")))?;
        if card.currency.trim().is_empty() || card.currency.len() > 12 {
            return Err(RateCardError("needs a currency, such as INR".to_owned()));
        }
        if card.rates.len() > MAX_RATES {
            return Err(RateCardError(format!("has more than {MAX_RATES} rates")));
        }
        for (index, rate) in card.rates.iter_mut().enumerate() {
            if !rate.price.is_finite() || rate.price < 0.0 {
                return Err(RateCardError(format!("rates[{index}].price must be 0 or more")));
            }
            if rate.country != ANY
                && (rate.country.len() != 2 || !rate.country.bytes().all(|b| b.is_ascii_alphabetic()))
            {
                return Err(RateCardError(format!(
                    "rates[{index}].country must be two letters (ISO 3166-1), or *"
                )));
            }
            rate.country.make_ascii_uppercase();
            rate.channel = rate.channel.to_uppercase();
            // As the counters write it.
            rate.category = counters::word(&rate.category);
        }
        Ok(card)
    }

    /// The cost of messages: counts by country, channel, category and what is charged. `elapsed_days` have passed of the
    /// range, and the month of its end has `month_days`.
    pub(crate) fn spend(
        &self,
        charges: &BTreeMap<(String, String, String), BTreeMap<Charged, u64>>,
        reached: u64,
        elapsed_days: f64,
        month_days: f64,
    ) -> Spend {
        let mut spend = Spend {
            currency: self.currency.clone(),
            ..Spend::default()
        };
        let count =
            |counts: &BTreeMap<Charged, u64>, charged| counts.get(&charged).copied().unwrap_or_default();
        let mut total = 0.0;
        for ((country, channel, category), counts) in charges {
            let shown = if category == NO_CATEGORY { "" } else { category };
            let Some(rate) = self.rate(country, channel, category) else {
                let messages = count(counts, Charged::Sent);
                spend.unpriced += messages;
                if messages > 0 {
                    spend.unpriced_rows.push(UnpricedRow {
                        country: country.clone(),
                        channel: channel.clone(),
                        category: shown.to_owned(),
                        messages,
                    });
                }
                continue;
            };
            let basis = match rate.per {
                Per::Sent => Charged::Sent,
                Per::Delivered => Charged::Delivered,
            };
            let messages = count(counts, basis);
            #[expect(clippy::cast_precision_loss, reason = "exact below 9 * 10^15 messages")]
            let amount = messages as f64 * rate.price;
            total += amount;
            spend.rows.push(SpendRow {
                country: country.clone(),
                channel: channel.clone(),
                category: shown.to_owned(),
                messages,
                per: basis.as_str(),
                price: rate.price,
                amount: rounded(amount),
            });
        }
        spend
            .rows
            .sort_by(|one, other| other.amount.total_cmp(&one.amount));
        spend
            .unpriced_rows
            .sort_by_key(|row| std::cmp::Reverse(row.messages));
        spend.spent = rounded(total);
        #[expect(clippy::cast_precision_loss, reason = "exact below 9 * 10^15 people")]
        let reached = reached as f64;
        spend.per_reached = (reached > 0.0).then(|| rounded(total / reached));
        spend.forecast = (elapsed_days > 0.0).then(|| rounded(total / elapsed_days * month_days));
        spend
    }

    fn rate(&self, country: &str, channel: &str, category: &str) -> Option<&Rate> {
        let fits = |pattern: &str, value: &str| pattern == ANY || pattern == value;
        self.rates
            .iter()
            .filter(|rate| {
                fits(&rate.country, country) && fits(&rate.channel, channel) && fits(&rate.category, category)
            })
            .min_by_key(|rate| (rate.country == ANY, rate.channel == ANY, rate.category == ANY))
    }
}

/// A millionth of the currency is enough: prices of messages have up to six decimals.
fn rounded(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charges(
        rows: &[(&str, &str, &str, u64, u64)],
    ) -> BTreeMap<(String, String, String), BTreeMap<Charged, u64>> {
        rows.iter()
            .map(|(country, channel, category, sent, delivered)| {
                (
                    (
                        (*country).to_owned(),
                        (*channel).to_owned(),
                        (*category).to_owned(),
                    ),
                    BTreeMap::from([(Charged::Sent, *sent), (Charged::Delivered, *delivered)]),
                )
            })
            .collect()
    }

    #[test]
    fn the_most_precise_rate_applies() {
        let card = RateCard::parse(
            r#"{"currency":"INR","rates":[
                {"price":1},
                {"channel":"sms","price":0.12,"per":"sent"},
                {"country":"in","channel":"WHATSAPP","category":"marketing","price":0.88},
                {"country":"IN","channel":"WHATSAPP","price":0.115}]}"#,
        )
        .unwrap();
        let spend = card.spend(
            &charges(&[
                ("IN", "SMS", "-", 100, 90),
                ("IN", "WHATSAPP", "marketing", 50, 40),
                ("IN", "WHATSAPP", "utility", 10, 10),
                ("BR", "RCS", "-", 3, 2),
            ]),
            100,
            2.0,
            30.0,
        );
        let amounts: Vec<(&str, u64, f64)> = spend
            .rows
            .iter()
            .map(|row| (row.channel.as_str(), row.messages, row.amount))
            .collect();
        assert_eq!(
            amounts,
            [
                ("WHATSAPP", 40, 35.2),
                ("SMS", 100, 12.0),
                ("RCS", 2, 2.0),
                ("WHATSAPP", 10, 1.15)
            ]
        );
        assert_eq!(
            (spend.spent, spend.per_reached, spend.forecast),
            (50.35, Some(0.5035), Some(755.25))
        );
        assert_eq!(spend.unpriced, 0);
    }

    #[test]
    fn messages_without_a_rate_are_reported() {
        let card = RateCard::parse(r#"{"currency":"EUR","rates":[{"country":"DE","price":0.1}]}"#).unwrap();
        let sent = [
            ("IN", "SMS", "-", 7, 5),
            ("IN", "WHATSAPP", "marketing", 9, 9),
            ("FR", "SMS", "-", 0, 0),
        ];
        let spend = card.spend(&charges(&sent), 0, 0.0, 30.0);
        assert_eq!(
            (spend.unpriced, spend.spent, spend.per_reached, spend.forecast),
            (16, 0.0, None, None)
        );
        let rows = spend.unpriced_rows.iter();
        let rows: Vec<(&str, &str, &str, u64)> = rows
            .map(|row| (&*row.country, &*row.channel, &*row.category, row.messages))
            .collect();
        assert_eq!(rows, [("IN", "WHATSAPP", "marketing", 9), ("IN", "SMS", "", 7)]);
    }

    #[test]
    fn a_wrong_card_says_what_is_wrong() {
        let error = |text: &str| RateCard::parse(text).unwrap_err().to_string();
        assert!(error("{").starts_with("is not a rate card: "));
        assert!(error(r#"{"currency":"INR","rates":[{"cost":1}]}"#).contains("unknown field `cost`"));
        assert_eq!(
            error(r#"{"currency":" ","rates":[]}"#),
            "needs a currency, such as INR"
        );
        assert_eq!(
            error(r#"{"currency":"INR","rates":[{"price":1},{"price":-1}]}"#),
            "rates[1].price must be 0 or more"
        );
        assert_eq!(
            error(r#"{"currency":"INR","rates":[{"country":"India","price":1}]}"#),
            "rates[0].country must be two letters (ISO 3166-1), or *"
        );
    }
}
