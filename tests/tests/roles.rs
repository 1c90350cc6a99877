//! Access to the dashboard: sign-in, sessions, and what each role sees.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use http::Method;
use integration_tests::{
    answer::Answer,
    fixtures::{body, percent_encoded, request_to},
    function::Function,
    stack::Stack,
    storage::{number, text},
};
use serde_json::{Value, json};
use webhook_ingest::{event::time, events_table::item::Item};

const SIGN_IN: &str = r#"{"key":"0123456789abcdef0123456789abcdef","sign_in":[
    {"role":"viewer","password":"viewers-password"},{"role":"agent","password":"agents-password"},
    {"role":"operator","password":"operators-password"}]}"#;

const PUBLIC: [(&str, &str); 3] = [
    ("DASHBOARD_ACCESS", "SIGN_IN"),
    ("DASHBOARD_AUTH", SIGN_IN),
    ("DASHBOARD_REDRIVE", "true"),
];

const PASSWORDS: [(&str, &str); 3] = [
    ("viewer", "viewers-password"),
    ("agent", "agents-password"),
    ("operator", "operators-password"),
];

fn request(method: &Method, path: &str, cookie: &str, body: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers = [
        ("content-type", "application/json"),
        ("host", "abc.lambda-url.ap-south-1.on.aws"),
        ("x-forwarded-proto", "https"),
        ("cookie", cookie),
    ];
    request_to(method, path, query, &headers, body.as_bytes())
}

async fn ask(dashboard: &Function, method: Method, path: &str, cookie: &str, body: &str) -> Answer {
    dashboard.request(&request(&method, path, cookie, body)).await
}

async fn get(dashboard: &Function, path: &str, cookie: &str) -> Answer {
    ask(dashboard, Method::GET, path, cookie, "").await
}

async fn sign_in(dashboard: &Function, password: &str) -> Answer {
    let body = json!({ "password": password }).to_string();
    ask(dashboard, Method::POST, "/api/session", "", &body).await
}

/// Signs in from an address, with earlier cookies.
async fn sign_in_from(dashboard: &Function, password: &str, address: &str, cookies: &str) -> Answer {
    let body = json!({ "password": password }).to_string();
    let mut request = request(&Method::POST, "/api/session", cookies, &body);
    request["requestContext"]["http"]["sourceIp"] = address.into();
    dashboard.request(&request).await
}

/// The name and value of a response's cookie, as a browser sends them.
fn pair(answer: &Answer) -> String {
    answer.cookies()[0].split(';').next().unwrap().to_owned()
}

async fn cookie_of(dashboard: &Function, password: &str) -> String {
    let answer = sign_in(dashboard, password).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    pair(&answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_requires_a_session() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &PUBLIC).await;
    for path in [
        "/api/session",
        "/api/summary",
        "/api/events",
        "/api/messages/x",
        "/api/dead-letters",
        "/api/recipients/9",
    ] {
        let answer = get(&dashboard, path, "").await;
        assert_eq!(
            (answer.status, &answer.json()["sign_in"]),
            (401, &json!(true)),
            "{path}"
        );
    }
    for open in ["/healthz", "/openapi.json"] {
        assert_eq!(get(&dashboard, open, "").await.status, 200, "{open}");
    }
    assert_eq!(sign_in(&dashboard, "wrong-password").await.status, 401);
    let line = dashboard
        .line(|line: &Value| line["message"] == "request" && line["path"] == "/api/messages/{message_id}")
        .await;
    assert_eq!(
        (&line["method"], &line["status"]),
        (&json!("GET"), &json!(401)),
        "{line}"
    );
    let lines = dashboard.lines().join("\n");
    assert!(!lines.contains("password"), "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_has_its_permissions() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    assert_eq!(receiver.post(b"{\"mobile\":919876543210}").await.status, 400);
    let dashboard = stack.function("dashboard", &PUBLIC).await;
    for (role, password) in PASSWORDS {
        let (sees, redrives) = (role != "viewer", role == "operator");
        let answer = sign_in(&dashboard, password).await;
        let may = json!({"see_numbers": sees, "redrive": redrives, "discard": redrives});
        assert_eq!(
            answer.json(),
            json!({"role": role, "sign_in": true, "may": may, "bot_names": {}})
        );
        assert_eq!(answer.cookies().len(), 1);
        for part in [
            "__Host-session=",
            "; HttpOnly",
            "; Secure",
            "; SameSite=Strict",
            "; Path=/",
        ] {
            assert!(answer.cookies()[0].contains(part), "{:?}", answer.cookies());
        }
        let cookie = pair(&answer);
        let full = get(&dashboard, "/api/dead-letters?content=full", &cookie).await;
        assert_eq!(full.status, if sees { 200 } else { 403 }, "{role}");
        let discard = ask(
            &dashboard,
            Method::POST,
            "/api/dead-letters/none/discard",
            &cookie,
            "{}",
        )
        .await;
        assert_eq!(discard.status, if redrives { 404 } else { 403 }, "{role}");
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
}

/// One phone number in the spellings of people and systems.
const SPELLINGS: [&str; 14] = [
    "919812345678",
    "+919812345678",
    "+91 98123 45678",
    "+91-98123-45678",
    "(+91) 98123.45678",
    "0091/98123/45678",
    "91_98123_45678",
    "+91\u{a0}98123\u{2009}45678",
    "+91\u{2011}98123\u{2013}45678",
    "%2B91%2098123%2045678",
    "91\u{200b}98123\u{200b}45678",
    "९१९८१२३४५६७८",
    "٩١٩٨١٢٣٤٥٦٧٨",
    "９１９８１２３４５６７８",
];
/// Digits that no response to a viewer may contain.
const SECRET: &str = "1981234";

/// All digits of a text, of any script and with any separators.
fn digits(text: &str) -> String {
    let mut text = text.to_owned();
    for code in ["20", "2B", "2D", "2E", "2F", "28", "29"] {
        text = text.replace(&format!("%{code}"), "");
    }
    let zeros = ['0', '\u{660}', '\u{966}', '\u{ff10}'];
    text.chars()
        .filter_map(|c| {
            zeros.iter().find_map(|zero| {
                let digit = u32::from(c).checked_sub(u32::from(*zero))?;
                char::from_digit(digit, 10)
            })
        })
        .collect()
}

/// An item with the number, in this spelling, in every attribute and in an unknown one.
fn item_with(spelling: &str, index: usize, at: i64) -> Item {
    let said = format!("call {spelling} now");
    let map = |name: &str| {
        AttributeValue::M(
            [
                (name.to_owned(), text(&said)),
                (format!("about {spelling}"), AttributeValue::Bool(true)),
                ("number".to_owned(), number(919_812_345_678)),
                (
                    "nested".to_owned(),
                    AttributeValue::L(vec![text(&said), number(919_812_345_678)]),
                ),
            ]
            .into(),
        )
    };
    let day = time::utc_day(at);
    let mut item = Item::from([
        (
            "message_id".to_owned(),
            text(format!("api-337-{spelling}-x{index}")),
        ),
        ("status_key".to_owned(), text(format!("RCS#x {spelling}#0f"))),
        ("channel".to_owned(), text(format!("RCS {spelling}"))),
        ("status".to_owned(), text(format!("x {spelling}"))),
        ("day_shard".to_owned(), text(format!("{day}#07"))),
        ("event_time".to_owned(), number(at)),
        ("received_at".to_owned(), number(at)),
        ("provider".to_owned(), text("netcore")),
        ("format".to_owned(), text("netcore-events")),
        ("recipient".to_owned(), text("919812345678")),
        ("late".to_owned(), AttributeValue::Bool(true)),
        (
            "tags".to_owned(),
            AttributeValue::L(vec![text(&said), text("plain tag")]),
        ),
        (
            "verbatim".to_owned(),
            text(format!("{{\"mobile\":\"{spelling}\"}}")),
        ),
        ("not yet known".to_owned(), text(&said)),
        ("number".to_owned(), number(919_812_345_678)),
    ]);
    for name in [
        "bot_id",
        "request_id",
        "callback_data",
        "message_type",
        "last_channel",
        "remarks",
        "source",
        "campaign",
        "in_reply_to",
    ] {
        item.insert(name.to_owned(), text(format!("{said} {name}")));
    }
    for (name, known) in [
        ("click", "text"),
        ("content", "caption"),
        ("pricing", "category"),
        ("extra", "note"),
        ("as_sent", "mobile"),
        ("envelope", "account"),
    ] {
        item.insert(name.to_owned(), map(known));
    }
    item
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_response_to_a_viewer_contains_a_phone_number() {
    let stack = Stack::start().await;
    let at = time::now() - 1000;
    for (index, spelling) in SPELLINGS.iter().enumerate() {
        stack.storage.put(item_with(spelling, index, at)).await;
    }
    let dead_letter = json!({
        "version": 1, "reason": "malformed", "detail": "call +91 98123 45678", "function": "f 919812345678",
        "received_at": at, "body": "{\"mobile\":\"+91 98123 45678\"}",
    });
    for text in [dead_letter.to_string(), "not JSON, +91 98123 45678".to_owned()] {
        stack.storage.send_dead(&text).await;
    }
    let dashboard = stack.function("dashboard", &PUBLIC).await;
    for (role, password) in PASSWORDS {
        let cookie = cookie_of(&dashboard, password).await;
        let sees = role != "viewer";
        for path in [
            "/api/events",
            "/api/events?format=csv",
            "/api/events?limit=200",
            "/api/dead-letters",
        ] {
            let answer = get(&dashboard, path, &cookie).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let is_masked = path == "/api/dead-letters";
            assert_eq!(
                digits(&answer.body).contains(SECRET),
                sees && !is_masked,
                "{role} {path}: {}",
                answer.body
            );
            if path.contains("csv") {
                assert_eq!(answer.body.matches("plain tag").count(), SPELLINGS.len());
            }
        }
        let events = get(&dashboard, "/api/events?limit=200", &cookie).await.json();
        let events = events["events"].as_array().unwrap();
        assert_eq!(events.len(), SPELLINGS.len());
        for event in events {
            assert_eq!(event["event_time"], at);
            assert_eq!(event["late"], true);
            assert_eq!(event["format"], "netcore-events");
            for hidden in ["status_key", "day_shard", "as_sent", "verbatim"] {
                assert_eq!(event.get(hidden).is_some(), sees, "{role} {hidden}");
            }
            // A viewer opens a message by its token, other roles by its id.
            let name = event
                .get("token")
                .unwrap_or(&event["message_id"])
                .as_str()
                .unwrap();
            assert_eq!(event.get("token").is_some(), !sees);
            let path = format!("/api/messages/{}", percent_encoded(name));
            let message = get(&dashboard, &path, &cookie).await;
            assert_eq!(message.status, 200, "{role} {path}: {}", message.body);
            assert_eq!(
                digits(&message.body).contains(SECRET),
                sees,
                "{role}: {}",
                message.body
            );
            assert_eq!(message.json()["events"].as_array().unwrap().len(), 1);
            if sees {
                assert_eq!(message.json()["events"][0]["number"], 919_812_345_678_u64);
                assert!(message.json()["events"][0]["not yet known"].is_string());
            } else {
                assert_eq!(message.json()["recipient"], "*********678");
                assert_eq!(message.json()["events"][0]["extra"]["note"], "***");
            }
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        if sees {
            let full = get(&dashboard, "/api/dead-letters?content=full", &cookie).await;
            assert!(digits(&full.body).contains(SECRET), "{}", full.body);
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
    }
    let lines = dashboard.lines().join("\n");
    assert!(!digits(&lines).contains(SECRET), "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_cannot_find_out_whether_a_number_is_stored() {
    let stack = Stack::start().await;
    let receiver = stack.function("event-webhook", &[]).await;
    let now = time::now() / 1000;
    let record = |id: &str| json!({"message_id": id, "mobile": "919812345678", "status": "Sent", "channel": "RCS", "event_time": now});
    let records: Vec<Value> = ["api-337-919812345678-x", "plain-id", "other-id"]
        .map(record)
        .to_vec();
    assert_eq!(receiver.post(&body(&records)).await.status, 200);
    let dashboard = stack.function("dashboard", &PUBLIC).await;
    let agent = cookie_of(&dashboard, "agents-password").await;
    let cursor = get(&dashboard, "/api/recipients/919812345678?limit=1", &agent)
        .await
        .json()["cursor"]
        .clone();
    let cursor = cursor.as_str().unwrap();
    let viewer = cookie_of(&dashboard, "viewers-password").await;

    // Right and wrong guesses get the same response.
    for path in [
        "/api/messages/api-337-919812345678-x".to_owned(),
        "/api/messages/api-337-919812345679-x".to_owned(),
        "/api/recipients/919812345678".to_owned(),
        "/api/recipients/919812345679".to_owned(),
        "/api/recipients/919812345678?format=csv".to_owned(),
        format!("/api/recipients/919812345678?cursor={cursor}"),
        format!("/api/events?cursor={cursor}"),
        format!("/api/events?format=csv&cursor={cursor}"),
        "/api/events?cursor=W10".to_owned(),
        "/api/events?cursor=".to_owned(),
        "/api/messages/plain-id?cursor=W10".to_owned(),
        "/api/summary?bot=919812345678".to_owned(),
        "/api/summary?tag=a919812345678".to_owned(),
        "/api/events?status=x919812345678".to_owned(),
        "/api/events?channel=919812345678".to_owned(),
        "/api/dead-letters?content=full".to_owned(),
    ] {
        let answer = get(&dashboard, &path, &viewer).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
        assert!(!answer.body.contains("9198"), "{}", answer.body);
        if !path.contains("cursor") {
            assert_ne!(get(&dashboard, &path, &agent).await.status, 403, "{path}");
        }
    }
    // An id without a phone number is allowed.
    assert_eq!(
        get(&dashboard, "/api/messages/plain-id", &viewer).await.status,
        200
    );
    assert_eq!(
        get(&dashboard, "/api/messages/no-such-id", &viewer).await.status,
        404
    );

    // A viewer's list ends with its first page, marked as truncated.
    let page = get(&dashboard, "/api/events?limit=1", &viewer).await.json();
    assert_eq!(
        (&page["cursor"], &page["truncated"]),
        (&Value::Null, &json!(true))
    );
    let token = page["events"][0]["token"].as_str().unwrap();
    // A changed token opens nothing.
    let mut forged = token.to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    assert_eq!(
        get(&dashboard, &format!("/api/messages/{forged}"), &viewer)
            .await
            .status,
        404
    );
    // Agents can open a token of a viewer.
    let opened = get(&dashboard, &format!("/api/messages/{token}"), &agent).await;
    assert_eq!(opened.status, 200);
    assert_eq!(opened.json()["recipient"], "919812345678");

    // Without a sign-in there is no key for tokens. A viewer can open only messages with plain ids.
    let private = stack.function("dashboard", &[("DASHBOARD_ROLE", "viewer")]).await;
    let page = get(&private, "/api/events", "").await;
    assert!(
        !page.body.contains("token") && !digits(&page.body).contains(SECRET),
        "{}",
        page.body
    );
    assert_eq!(
        get(&private, &format!("/api/messages/{token}"), "").await.status,
        404
    );
    assert_eq!(get(&private, "/api/messages/plain-id", "").await.status, 200);
}

/// Waits until the current window of 15 minutes does not end soon.
async fn early_in_a_window() {
    let left = 900 - time::now() / 1000 % 900;
    if left < 25 {
        tokio::time::sleep(Duration::from_secs(u64::try_from(left).unwrap() + 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_guesses_are_limited_across_environments() {
    let stack = Stack::start().await;
    let environments = [
        stack.function("dashboard", &PUBLIC).await,
        stack.function("dashboard", &PUBLIC).await,
    ];
    early_in_a_window().await;
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    for guess in 0..15 {
        let answer = sign_in(&environments[guess % 2], &format!("guess-{guess}")).await;
        *answers.entry(answer.status).or_default() += 1;
        if answer.status == 429 {
            let wait: i64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=900).contains(&wait), "{wait}");
        }
    }
    assert_eq!(answers, BTreeMap::from([(401, 10), (429, 5)]));
    // The right password is not checked.
    for environment in &environments {
        assert_eq!(sign_in(environment, "operators-password").await.status, 429);
    }
    // Another address is not affected.
    let other = sign_in_from(&environments[0], "operators-password", "198.51.100.1", "").await;
    assert_eq!(other.status, 200, "{}", other.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_password_works_after_some_failures() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &PUBLIC).await;
    early_in_a_window().await;
    for guess in 0..9 {
        assert_eq!(sign_in(&dashboard, &format!("guess-{guess}")).await.status, 401);
    }
    // Any number of colleagues can sign in from the same address.
    for _ in 0..12 {
        assert_eq!(sign_in(&dashboard, "agents-password").await.status, 200);
    }
    assert_eq!(sign_in(&dashboard, "guess-9").await.status, 401);
    assert_eq!(sign_in(&dashboard, "agents-password").await.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_with_an_earlier_session_is_not_locked_out() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &PUBLIC).await;
    let session = cookie_of(&dashboard, "agents-password").await;
    early_in_a_window().await;
    // Twenty networks with half the allowed failures each: the global limit.
    for guess in 0..200 {
        let address = format!("203.0.{}.7", guess % 20);
        assert_eq!(
            sign_in_from(&dashboard, "guess", &address, "").await.status,
            401,
            "{guess}"
        );
    }
    let fresh = "198.51.100.1";
    assert_eq!(
        sign_in_from(&dashboard, "agents-password", fresh, "")
            .await
            .status,
        429
    );
    for _ in 0..2 {
        assert_eq!(
            sign_in_from(&dashboard, "agents-password", fresh, &session)
                .await
                .status,
            200
        );
    }
    // It has no more attempts than others, and a new sign-in does not add attempts.
    let mut failures = 0;
    while sign_in_from(&dashboard, "guess", fresh, &session).await.status == 401 {
        failures += 1;
        assert!(failures <= 20);
    }
    assert_eq!(failures, 20);
    assert_eq!(
        sign_in_from(&dashboard, "agents-password", fresh, &session)
            .await
            .status,
        429
    );
    // The session stays valid.
    assert_eq!(get(&dashboard, "/api/session", &session).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ipv6_network_counts_as_one_address() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &PUBLIC).await;
    early_in_a_window().await;
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    for guess in 0..14 {
        let answer = sign_in_from(&dashboard, "guess", &format!("2001:db8:1:2::{guess:x}"), "").await;
        *answers.entry(answer.status).or_default() += 1;
    }
    assert_eq!(answers, BTreeMap::from([(401, 10), (429, 4)]));
    let next = sign_in_from(&dashboard, "agents-password", "2001:db8:1:3::1", "").await;
    assert_eq!(next.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_the_session_in_every_environment() {
    let stack = Stack::start().await;
    let environments = [
        stack.function("dashboard", &PUBLIC).await,
        stack.function("dashboard", &PUBLIC).await,
    ];
    let leaving = cookie_of(&environments[0], "agents-password").await;
    let staying = cookie_of(&environments[1], "agents-password").await;
    for environment in &environments {
        assert_eq!(get(environment, "/api/session", &leaving).await.status, 200);
    }
    let out = ask(&environments[0], Method::DELETE, "/api/session", &leaving, "").await;
    assert_eq!(out.status, 204);
    assert!(
        out.cookies()[0].starts_with("__Host-session=;") && out.cookies()[0].contains("Max-Age=0"),
        "{:?}",
        out.cookies()
    );
    // A copy of the cookie is invalid. Other sessions stay valid.
    for environment in &environments {
        assert_eq!(get(environment, "/api/session", &leaving).await.status, 401);
        assert_eq!(get(environment, "/api/events", &leaving).await.status, 401);
        assert_eq!(get(environment, "/api/session", &staying).await.status, 200);
        let both = format!("{leaving}; {staying}");
        assert_eq!(get(environment, "/api/session", &both).await.status, 200);
    }
    // Signing out needs no session.
    let again = ask(&environments[1], Method::DELETE, "/api/session", "", "").await;
    assert_eq!(again.status, 204);
    // Over TLS, the cookie without prefix is ignored.
    let plain = staying.replace("__Host-session", "session");
    assert_eq!(get(&environments[0], "/api/session", &plain).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_dashboard_has_one_role_and_a_public_one_requires_a_sign_in() {
    let stack = Stack::start().await;
    for (role, sees) in [("viewer", false), ("agent", true)] {
        let dashboard = stack.function("dashboard", &[("DASHBOARD_ROLE", role)]).await;
        let session = get(&dashboard, "/api/session", "").await.json();
        assert_eq!(
            (
                &session["role"],
                &session["sign_in"],
                &session["may"]["see_numbers"]
            ),
            (&json!(role), &json!(false), &json!(sees))
        );
        assert_eq!(session["may"]["redrive"], false);
    }
    for (more, why) in [
        (
            &[("DASHBOARD_ACCESS", "SIGN_IN")][..],
            "DASHBOARD_AUTH is missing",
        ),
        (
            &[("DASHBOARD_ACCESS", "PUBLIC")][..],
            "DASHBOARD_ACCESS must be AWS_IAM or SIGN_IN",
        ),
        (&[("DASHBOARD_AUTH", "{}")][..], "DASHBOARD_AUTH: must be"),
        (&[("ROLLUPS_TABLE", "")][..], "ROLLUPS_TABLE is missing"),
    ] {
        let (status, lines) = stack.function("dashboard", more).await.ended().await;
        assert!(!status.success());
        assert!(lines.iter().any(|line| line.contains(why)), "{lines:?}");
    }
}
