//! Converts a function URL's event to a request, and an answer to a function URL's response.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>
//!
//! `lambda_http` finds the type of an event by parsing a copy of it, and copies the body from the parsed
//! copy: four copies of 6 MB. The type of our events is known, so they are parsed once.

use std::fmt;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Response;
use lambda_http::{Body, Request, request::RequestContext};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A request with the parts that a receiver reads: method, query, headers, decoded body, and the context with
/// the sender's address. Safe on untrusted input.
#[derive(Debug)]
pub struct FunctionUrlRequest(pub Request);

/// The query of a request's URL as the sender wrote it, without the question mark; empty if there is none. An
/// extension of the request, because a [`Uri`](http::Uri) refuses some characters that senders write.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RawQuery(pub String);

/// Without the text, which can hold a token and a phone number.
impl fmt::Debug for RawQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawQuery({} bytes)", self.0.len())
    }
}

impl<'de> Deserialize<'de> for FunctionUrlRequest {
    fn deserialize<D: Deserializer<'de>>(event: D) -> Result<Self, D::Error> {
        let event = ApiGatewayV2httpRequest::deserialize(event)?;
        let body = match event.body {
            None => Body::Empty,
            Some(text) if event.is_base64_encoded => {
                let bytes = STANDARD.decode(text);
                Body::Binary(bytes.map_err(|_| D::Error::custom("the body is not valid base64"))?)
            }
            Some(text) => Body::Text(text),
        };
        let mut request = Request::new(body);
        *request.method_mut() = event.request_context.http.method.clone();
        *request.headers_mut() = event.headers;
        let extensions = request.extensions_mut();
        extensions.insert(RawQuery(event.raw_query_string.unwrap_or_default()));
        extensions.insert(RequestContext::ApiGatewayV2(event.request_context));
        Ok(Self(request))
    }
}

/// A receiver's answer as a response: text or nothing, and no cookies.
pub(crate) fn response(answer: Response<Body>) -> ApiGatewayV2httpResponse {
    let (parts, body) = answer.into_parts();
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = parts.status.as_u16().into();
    response.headers = parts.headers;
    response.body = Some(body).filter(|body| !body.is_empty());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Method};
    use lambda_http::RequestExt as _;
    use serde_json::{Value, json};

    fn event(body: &Value, encoded: bool) -> String {
        json!({
            "version": "2.0", "rawPath": "/", "rawQueryString": "", "cookies": ["a=b"],
            "headers": {"X-Webhook-Signature": "sha256=00", "content-type": "application/json"},
            "requestContext": {
                "accountId": "anonymous", "apiId": "x", "domainName": "x.lambda-url.eu-west-1.on.aws", "stage": "$default",
                "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "x"},
                "requestId": "x", "routeKey": "$default", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1_767_225_600_000_i64,
            },
            "body": body, "isBase64Encoded": encoded,
        })
        .to_string()
    }

    fn read(event: &str) -> Request {
        serde_json::from_str::<FunctionUrlRequest>(event).unwrap().0
    }

    #[test]
    fn a_request_has_its_method_headers_sender_and_body() {
        let request = read(&event(&json!("[{\"a\":\"ü\"}]"), false));
        assert_eq!(request.method(), Method::POST);
        assert_eq!(
            request.headers().get("x-webhook-signature"),
            Some(&HeaderValue::from_static("sha256=00"))
        );
        assert_eq!(request.body().as_ref(), "[{\"a\":\"ü\"}]".as_bytes());
        let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
            panic!("no context")
        };
        assert_eq!(context.http.source_ip.as_deref(), Some("203.0.113.7"));
    }

    #[test]
    fn a_query_stays_encoded() {
        for query in ["", "reqid=1%202&to=%2B91&x=a%26b", "text=a b {\u{fc}}"] {
            let mut event: Value = serde_json::from_str(&event(&json!(null), false)).unwrap();
            event["rawQueryString"] = query.into();
            let request = read(&event.to_string());
            assert_eq!(request.extensions().get(), Some(&RawQuery(query.to_owned())));
            let shown = format!("{:?}", request.extensions().get::<RawQuery>());
            assert_eq!(shown, format!("Some(RawQuery({} bytes))", query.len()));
        }
    }

    #[test]
    fn a_base64_body_is_decoded() {
        let request = read(&event(&json!(STANDARD.encode([0xff, 0, b'{'])), true));
        assert_eq!(request.body().as_ref(), [0xff, 0, b'{']);
        for nothing in [json!(null), json!("")] {
            assert!(read(&event(&nothing, true)).body().is_empty());
        }
        assert!(serde_json::from_str::<FunctionUrlRequest>(&event(&json!("%"), true)).is_err());
    }

    #[test]
    fn an_answer_keeps_status_headers_and_text() {
        let mut answer = Response::new(Body::from("{}"));
        answer
            .headers_mut()
            .insert("retry-after", HeaderValue::from_static("30"));
        let told = serde_json::to_value(response(answer)).unwrap();
        assert_eq!(
            (
                &told["statusCode"],
                &told["headers"]["retry-after"],
                &told["body"],
                &told["isBase64Encoded"]
            ),
            (&json!(200), &json!("30"), &json!("{}"), &json!(false))
        );
        let empty = serde_json::to_value(response(Response::new(Body::Empty))).unwrap();
        assert_eq!(empty.get("body"), None);
    }
}
