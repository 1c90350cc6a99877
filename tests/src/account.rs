//! A stand-in for the services of an AWS account, for commands that call more than tables and queues. It speaks their
//! protocols: JSON (SSM, DynamoDB, SQS, `CloudWatch`), query and XML (STS, `CloudFormation`, SNS), and REST (Lambda).
//! SSM stores parameters; the other operations return what the test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What an operation returns.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The output, in the members' names of the API.
    Output(Value),
    /// An error code.
    Error(&'static str),
    /// Nothing, ever.
    Hangs,
}

/// A parameter of SSM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its text.
    pub value: String,
    /// `SecureString` or `String`.
    pub kind: String,
    /// Counts the writes.
    pub version: i64,
    /// The KMS key, if one was named.
    pub key: Option<String>,
}

/// Computes the reply to a request.
type Answer = Box<dyn FnMut(&Value) -> Reply + Send>;

#[derive(Default)]
struct Services {
    answers: BTreeMap<String, Answer>,
    parameters: BTreeMap<String, Parameter>,
    calls: Vec<String>,
}

/// The account. Ends when this is dropped.
pub struct Account {
    /// Its `AWS_ENDPOINT_URL`.
    pub url: String,
    services: Arc<Mutex<Services>>,
    task: JoinHandle<()>,
}

impl Drop for Account {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Account {
    /// An account without parameters that answers no other operation.
    pub async fn start() -> Self {
        let services = Arc::new(Mutex::new(Services::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(services.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, services, task }
    }

    /// The environment of a command that uses it.
    pub fn environment(&self) -> [(&str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("AWS_REGION", "ap-south-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    /// From now on, an operation has this output.
    pub fn outputs(&self, operation: &str, output: Value) {
        self.replies(operation, Reply::Output(output));
    }

    /// From now on, an operation replies so. Also for operations of SSM.
    pub fn replies(&self, operation: &str, reply: Reply) {
        self.answers(operation, move |_| reply.clone());
    }

    /// From now on, an operation with a JSON protocol replies to each request as computed.
    pub fn answers(&self, operation: &str, answer: impl FnMut(&Value) -> Reply + Send + 'static) {
        let mut services = self.services.lock().unwrap();
        services.answers.insert(operation.to_owned(), Box::new(answer));
    }

    /// Writes a parameter.
    pub fn put(&self, name: &str, kind: &str, value: &str) {
        let parameter = Parameter {
            value: value.to_owned(),
            kind: kind.to_owned(),
            version: 1,
            key: None,
        };
        let mut services = self.services.lock().unwrap();
        services.parameters.insert(name.to_owned(), parameter);
    }

    /// A parameter.
    pub fn parameter(&self, name: &str) -> Option<Parameter> {
        self.services.lock().unwrap().parameters.get(name).cloned()
    }

    /// The operations that were called.
    pub fn calls(&self) -> Vec<String> {
        self.services.lock().unwrap().calls.clone()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Json,
    Query,
    Rest,
}

async fn answer(
    State(services): State<Arc<Mutex<Services>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (protocol, operation) = operation(&method, uri.path(), &headers, &body);
    let reply = {
        let mut services = services.lock().unwrap();
        services.calls.push(operation.clone());
        let request = serde_json::from_slice(&body).unwrap_or_default();
        match (services.answers.get_mut(&operation), operation.as_str()) {
            (Some(answer), _) => answer(&request),
            (None, "PutParameter") => put(&mut services, &request),
            (None, "GetParameter") => get(&services, &request),
            (None, "DescribeParameters") => describe(&services, &request),
            (None, _) => Reply::Error("UnknownOperationException"),
        }
    };
    match reply {
        Reply::Output(output) => success(protocol, &operation, &output),
        Reply::Error(code) => failure(protocol, code),
        Reply::Hangs => std::future::pending().await,
    }
}

fn operation(method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> (Protocol, String) {
    if let Some(target) = headers.get("x-amz-target") {
        let name = target.to_str().unwrap().rsplit('.').next().unwrap();
        return (Protocol::Json, name.to_owned());
    }
    let rest = match path.trim_end_matches('/') {
        "/2016-08-19/account-settings" => Some("GetAccountSettings"),
        "/2015-03-31/event-source-mappings" => Some("ListEventSourceMappings"),
        _ => None,
    };
    if let (Some(name), &Method::GET) = (rest, method) {
        return (Protocol::Rest, name.to_owned());
    }
    let form = String::from_utf8_lossy(body);
    let action = form.split('&').find_map(|field| field.strip_prefix("Action="));
    (Protocol::Query, action.unwrap_or("unknown").to_owned())
}

fn put(services: &mut Services, request: &Value) -> Reply {
    let name = request["Name"].as_str().unwrap();
    let before = services
        .parameters
        .get(name)
        .map_or(0, |parameter| parameter.version);
    if before > 0 && request["Overwrite"] != json!(true) {
        return Reply::Error("ParameterAlreadyExists");
    }
    let parameter = Parameter {
        value: request["Value"].as_str().unwrap().to_owned(),
        kind: request["Type"].as_str().unwrap().to_owned(),
        version: before + 1,
        key: request["KeyId"].as_str().map(str::to_owned),
    };
    services.parameters.insert(name.to_owned(), parameter);
    Reply::Output(json!({"Version": before + 1, "Tier": "Standard"}))
}

fn get(services: &Services, request: &Value) -> Reply {
    let name = request["Name"].as_str().unwrap();
    let Some(parameter) = services.parameters.get(name) else {
        return Reply::Error("ParameterNotFound");
    };
    // Without decryption, SSM returns the encrypted text.
    let value = match (parameter.kind.as_str(), &request["WithDecryption"]) {
        ("SecureString", decrypt) if *decrypt != json!(true) => "AQICAHh…",
        _ => parameter.value.as_str(),
    };
    Reply::Output(json!({"Parameter": {
        "Name": name, "Type": parameter.kind, "Value": value, "Version": parameter.version,
        "LastModifiedDate": 1_795_219_200.5, "DataType": "text",
    }}))
}

fn describe(services: &Services, request: &Value) -> Reply {
    let filter = &request["ParameterFilters"][0];
    assert_eq!(
        (&filter["Key"], &filter["Option"]),
        (&json!("Name"), &json!("Equals"))
    );
    let name = filter["Values"][0].as_str().unwrap();
    let found = services.parameters.get(name).map(|parameter| {
        json!({"Name": name, "Type": parameter.kind, "KeyId": parameter.key.as_deref().unwrap_or("alias/aws/ssm")})
    });
    let found: Vec<Value> = found.into_iter().collect();
    Reply::Output(json!({ "Parameters": found }))
}

fn success(protocol: Protocol, operation: &str, output: &Value) -> Response {
    let ok = StatusCode::OK;
    match protocol {
        Protocol::Json | Protocol::Rest => (
            ok,
            [("content-type", "application/x-amz-json-1.1")],
            output.to_string(),
        )
            .into_response(),
        Protocol::Query => {
            let members = xml(output);
            let text = format!(
                "<{operation}Response><{operation}Result>{members}</{operation}Result></{operation}Response>"
            );
            (ok, [("content-type", "text/xml")], text).into_response()
        }
    }
}

fn failure(protocol: Protocol, code: &'static str) -> Response {
    let bad = StatusCode::BAD_REQUEST;
    // Services quote the request in messages, which must not reach the output.
    let message = "quoted-by-the-service";
    match protocol {
        Protocol::Json => (bad, json!({"__type": code, "message": message}).to_string()).into_response(),
        Protocol::Rest => (
            bad,
            [("x-amzn-errortype", code)],
            json!({"Message": message}).to_string(),
        )
            .into_response(),
        Protocol::Query => {
            let text = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            (bad, [("content-type", "text/xml")], text).into_response()
        }
    }
}

/// The members of a structure in the query protocol: an element of a list is a `member`.
fn xml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| element(name, value));
            members.collect()
        }
        Value::Array(elements) => elements.iter().map(|value| element("member", value)).collect(),
        Value::String(text) => text.replace('&', "&amp;").replace('<', "&lt;"),
        other => other.to_string(),
    }
}

fn element(name: &str, value: &Value) -> String {
    format!("<{name}>{}</{name}>", xml(value))
}
