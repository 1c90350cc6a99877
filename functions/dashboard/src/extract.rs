//! Extractors for handlers: path, query and body of a request as validated types. Each also describes itself
//! in `/openapi.json`, and rejects an invalid request with a [`Refusal`].

use std::{borrow::Cow, fmt, marker::PhantomData};

use aide::{
    OperationInput,
    generate::GenContext,
    openapi::Operation,
    operation::{ParamLocation, add_parameters, parameters_from_schema},
};
use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Request},
};
use http::request::Parts as Head;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserializer,
    de::{self, DeserializeOwned, Visitor, value},
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::{answers::Example, redaction, refusal::Refusal, sign_in};

/// Characters of a parameter that are not encoded in a link.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// Maximum bytes of a body. The largest valid body contains a password.
const MAX_REQUEST_BODY_BYTES: usize = 64 * 1024;
/// Maximum characters of an unknown parameter's name in an error.
const MAX_NAME_CHARS: usize = 60;

/// The path parameters: a struct with one field for each.
pub(crate) struct PathParams<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Head, state: &S) -> Result<Self, Refusal> {
        let Path(path) = Path::from_request_parts(head, state)
            .await
            .map_err(|_| Refusal::BadRequest("the path is not percent-encoded UTF-8".into()))?;
        Ok(Self(path))
    }
}

impl<T: JsonSchema> OperationInput for PathParams<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        describe::<T>(context, operation, ParamLocation::Path);
    }
}

/// The query parameters: a struct with one field for each.
pub(crate) struct Query<T> {
    pub(crate) asked: T,
    pairs: Vec<(String, String)>,
}

impl<T> Query<T> {
    /// The query for the page at a cursor, relative to the URL of this request.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let others = self
            .pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs: Vec<String> = others
            .filter(|(name, _)| *name != "cursor")
            .chain([("cursor", cursor)])
            .map(|(name, value)| {
                let (name, value) = (
                    utf8_percent_encode(name, PLAIN),
                    utf8_percent_encode(value, PLAIN),
                );
                format!("{name}={value}")
            })
            .collect();
        format!("?{}", pairs.join("&"))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, Refusal> {
        parse(head.uri.query().unwrap_or_default())
    }
}

impl<T: JsonSchema> OperationInput for Query<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        describe::<T>(context, operation, ParamLocation::Query);
    }
}

/// A JSON body. In a browser, only the dashboard's own page can send it.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Example, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        sign_in::from_our_page(request.headers())?;
        let wrong = || Refusal::BadRequest(format!("send {} as JSON", T::EXAMPLE));
        let body = axum::body::to_bytes(request.into_body(), MAX_REQUEST_BODY_BYTES)
            .await
            .map_err(|_| wrong())?;
        let body = if body.is_empty() { b"{}" } else { body.as_ref() };
        serde_json::from_slice(body).map(Self).map_err(|_| wrong())
    }
}

impl<T: JsonSchema> OperationInput for JsonBody<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Json::<T>::operation_input(context, operation);
    }
}

/// Adds the fields of a struct to an operation as its parameters.
fn describe<T: JsonSchema>(context: &mut GenContext, operation: &mut Operation, location: ParamLocation) {
    // Inlined: the document has no component for a struct of parameters.
    let mut schema: Schema = T::json_schema(&mut context.schema);
    let properties = schema.ensure_object().get_mut("properties");
    let properties = properties.and_then(Value::as_object_mut).into_iter();
    for property in properties.flat_map(|fields| fields.values_mut().filter_map(Value::as_object_mut)) {
        // A missing parameter has no default value; the description says what it means.
        property.retain(|name, value| name != "default" || !value.is_null());
    }
    let parameters = parameters_from_schema(context, schema, location);
    add_parameters(context, operation, parameters);
}

/// The parameters of a query. Safe on untrusted input.
fn parse<T: DeserializeOwned>(query: &str) -> Result<Query<T>, Refusal> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|_| Refusal::BadRequest("the query is not percent-encoded UTF-8".into()))?;
    let known = fields_of::<T>();
    let takes = match known {
        [] => "this path takes no parameters".to_owned(),
        known => format!("this path takes {}", known.join(", ")),
    };
    for (position, (name, _)) in pairs.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            return Err(Refusal::BadRequest(format!(
                "unknown parameter {}; {takes}",
                shown(name)
            )));
        }
        if pairs.iter().take(position).any(|(before, _)| before == name) {
            return Err(Refusal::BadRequest(format!(
                "the parameter {name} is repeated; {takes}"
            )));
        }
    }
    let asked = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(
        form_urlencoded::parse(query.as_bytes()),
    ))
    .map_err(|error| {
        let path = error.path().to_string();
        // A missing parameter has no path.
        let path = Some(path).filter(|path| path != ".");
        let path = path.map(|path| path + " ").unwrap_or_default();
        Refusal::BadRequest(format!("{path}{}", error.inner()))
    })?;
    Ok(Query { asked, pairs })
}

/// The beginning of an untrusted name, with redacted phone numbers.
fn shown(name: &str) -> String {
    let beginning: String = name.chars().take(MAX_NAME_CHARS).collect();
    format!("{:?}", redaction::text(&beginning))
}

/// Names of a struct's fields in serde.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // Always fails, after it has stored the names.
    let _ = T::deserialize(Fields(&mut fields));
    fields
}

/// A deserializer that only records the names of the fields.
struct Fields<'f>(&'f mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, value::Error> {
        *self.0 = fields;
        Err(de::Error::custom("recorded"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Describes a parameter of [`filled`]: a `T` or an empty text.
pub(crate) struct OrEmpty<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OrEmpty<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrEmpty", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "const": "" }] })
    }
}

/// For `deserialize_with`: a parameter that is parsed with `TryFrom<String>`.
pub(crate) fn read<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String, Error: fmt::Display>,
{
    let text: String = de::Deserialize::deserialize(deserializer)?;
    T::try_from(text).map_err(de::Error::custom)
}

/// The same; an empty parameter is `None`.
pub(crate) fn filled<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String, Error: fmt::Display>,
{
    let text: String = de::Deserialize::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    T::try_from(text).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events_query::EventsQuery,
        params::{NoQuery, SummaryQuery},
    };

    fn error<T: DeserializeOwned>(query: &str) -> String {
        match parse::<T>(query) {
            Ok(_) => "none".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn an_unknown_or_repeated_parameter_is_refused_with_the_known_ones() {
        let takes =
            "this path takes from, to, bot, tag, channel, campaign, template, country, tz, compare, hours";
        for (query, expected) in [
            ("form=2026-11-21", format!("unknown parameter \"form\"; {takes}")),
            (
                "x919812345678=1",
                format!("unknown parameter \"x*********678\"; {takes}"),
            ),
            (
                "bot=a&tag=b&bot=c",
                format!("the parameter bot is repeated; {takes}"),
            ),
            ("bot=a&bot=a", format!("the parameter bot is repeated; {takes}")),
            ("to=today", "to must be a day, YYYY-MM-DD".to_owned()),
            ("from=2026-6-1", "from must be a day, YYYY-MM-DD".to_owned()),
            ("from=&to=&bot=", "none".to_owned()),
            ("", "none".to_owned()),
        ] {
            assert_eq!(error::<SummaryQuery>(query), expected, "{query}");
        }
        assert_eq!(
            error::<NoQuery>("a=b"),
            "unknown parameter \"a\"; this path takes no parameters"
        );
        let long = error::<NoQuery>(&"ä\n".repeat(10_000));
        assert!(long.len() < 400, "{long}");
    }

    #[test]
    fn the_next_part_has_the_same_parameters_and_a_cursor() {
        let query = parse::<EventsQuery>("status=a%26b&cursor=old&format=csv").unwrap();
        assert_eq!(query.next("new="), "?status=a%26b&format=csv&cursor=new%3D");
    }
}
