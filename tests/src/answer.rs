//! The response of a function, from its process or over HTTP.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::SET_COOKIE};
use serde_json::Value;

use crate::runtime_api::Reply;

/// The counts in the response to an accepted request, in the order of [`Answer::counts`].
pub const COUNTS: [&str; 5] = ["received", "stored", "duplicates", "queued", "dead_lettered"];

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, cookies included.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// The id of the invocation in the function's log; empty over HTTP.
    pub request_id: String,
    /// The time from the request to the complete response.
    pub took: Duration,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.body))
    }

    /// One count of an accepted request.
    pub fn count(&self, name: &str) -> usize {
        let count = self.json()[name].as_u64();
        let count = count.unwrap_or_else(|| panic!("no count {name} in {} {}", self.status, self.body));
        usize::try_from(count).expect("a count")
    }

    /// All [`COUNTS`] of an accepted request.
    pub fn counts(&self) -> [usize; 5] {
        assert_eq!(self.status, 200, "{}", self.body);
        COUNTS.map(|name| self.count(name))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The cookies that it sets, with their attributes.
    pub fn cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.map(|cookie| cookie.to_str().unwrap()).collect()
    }
}

/// The response that a function URL makes of a function's reply.
impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let payload = &reply.payload;
        assert_eq!(payload["isBase64Encoded"], false, "{payload}");
        let value = |value: &Value| HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        let headers = payload["headers"].as_object().into_iter().flatten();
        let mut headers: HeaderMap = headers
            .map(|(name, text)| (name.parse::<HeaderName>().unwrap(), value(text)))
            .collect();
        for cookie in payload["cookies"].as_array().into_iter().flatten() {
            headers.append(SET_COOKIE, value(cookie));
        }
        Self {
            status: u16::try_from(payload["statusCode"].as_u64().expect("a status")).expect("a status"),
            headers,
            body: payload["body"].as_str().unwrap_or_default().to_owned(),
            request_id: reply.request_id,
            took: reply.took,
        }
    }
}

/// The sum of the counts in a list of the summary.
pub fn sum(list: &Value) -> u64 {
    let counts = list.as_array().unwrap().iter();
    counts.map(|entry| entry["count"].as_u64().unwrap()).sum()
}
