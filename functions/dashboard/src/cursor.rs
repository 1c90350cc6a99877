//! A position in a list as an opaque text, which the caller sends back to get the next part.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use webhook_ingest::events_table::item::Item;

use crate::refusal::{self, Refusal};

/// The cursor of a position.
pub(crate) fn write(position: &impl Serialize) -> String {
    // Positions are plain data, which always is JSON.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default())
}

/// The position of a cursor. Safe on untrusted input.
///
/// # Errors
/// [`Refusal`] if the text is not a cursor of this type of position.
pub(crate) fn read<P: DeserializeOwned>(cursor: &str) -> Result<P, Refusal> {
    let json = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| refusal::foreign_cursor())?;
    serde_json::from_slice(&json).map_err(|_| refusal::foreign_cursor())
}

/// The cursor of a key of a table or an index.
pub(crate) fn write_key(key: &Item) -> String {
    let fields: Map<String, Value> = key
        .iter()
        .filter_map(|(name, value)| match value {
            AttributeValue::S(text) => Some((name.clone(), Value::from(text.as_str()))),
            AttributeValue::N(number) => Some((name.clone(), Value::from(number.parse::<i64>().ok()?))),
            _ => None,
        })
        .collect();
    write(&fields)
}

/// The key of a cursor. Safe on untrusted input: the table checks the attributes of the key.
///
/// # Errors
/// [`Refusal`] if the text is not a cursor of a key.
pub(crate) fn read_key(cursor: &str) -> Result<Item, Refusal> {
    let fields: Map<String, Value> = read(cursor)?;
    fields
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, AttributeValue::S(text))),
            Value::Number(number) => Ok((name, AttributeValue::N(number.to_string()))),
            _ => Err(refusal::foreign_cursor()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_is_a_cursor() {
        let key = Item::from([
            ("recipient".to_owned(), AttributeValue::S("91".into())),
            ("event_time".to_owned(), AttributeValue::N("1704876828000".into())),
        ]);
        assert_eq!(read_key(&write_key(&key)).unwrap(), key);
        for bad in ["", "!", "e30x", "W10", &URL_SAFE_NO_PAD.encode("{\"a\":[]}")] {
            assert!(matches!(read_key(bad), Err(Refusal::BadRequest(_))), "{bad}");
        }
    }
}
