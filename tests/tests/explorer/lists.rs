//! Tables and cursors: each event once, whatever senders choose.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_a_range_has_a_line_for_each_event() {
    let (stack, rows) = stack_with_events().await;
    let dashboard = stack.function("dashboard", &[]).await;
    for (filter, is_wanted) in [
        ("", (|_| true) as fn(&Row) -> bool),
        ("&template=temp_b&order=oldest", |row| {
            row.template == Some("temp_b")
        }),
        ("&country=CA&status=read", |row| {
            row.country == Some("CA") && row.status == "read"
        }),
    ] {
        let answer = ask(
            &dashboard,
            &format!("from=2026-03-28&to=2026-03-30&format=csv{filter}"),
        )
        .await;
        assert_eq!((answer.status, answer.header("link")), (200, None));
        assert_eq!(
            answer.header("content-disposition"),
            Some("attachment; filename=\"events-2026-03-28-2026-03-30.csv\"")
        );
        let mut ids: Vec<&str> = answer
            .body
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(2).unwrap())
            .collect();
        ids.sort_unstable();
        let mut wanted: Vec<&str> = rows
            .iter()
            .filter(|(row, _)| is_wanted(row))
            .map(|(row, _)| row.key.0.as_str())
            .collect();
        wanted.sort_unstable();
        assert_eq!(ids, wanted, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_belongs_to_one_list() {
    let (stack, _) = stack_with_events().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let of = "day=2026-03-29&status=sent&limit=5";
    let cursor = page(&dashboard, of).await["cursor"].as_str().unwrap().to_owned();
    for (query, status) in [
        (of, 200),
        // Another limit and another name of the same range.
        (
            "from=2026-03-29&to=2026-03-29&status=SENT&limit=7&order=newest",
            200,
        ),
        // The range of the cursor.
        ("status=sent", 200),
        ("day=2026-03-29&status=sent&order=oldest", 400),
        ("day=2026-03-29&status=sent&tag=x", 400),
        ("day=2026-03-29&status=sent&hour=23", 400),
        ("day=2026-03-29&status=sent&billable=true", 400),
        ("day=2026-03-29&status=delivered", 400),
        ("day=2026-03-29", 400),
        ("day=2026-03-30&status=sent", 400),
        ("day=2026-03-29&tz=Asia/Kolkata&status=sent", 400),
    ] {
        let answer = ask(&dashboard, &format!("{query}&cursor={cursor}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        if status == 400 {
            assert_eq!(
                answer.json()["error"],
                "the cursor does not belong to this list",
                "{query}"
            );
        }
    }
}

/// A sender chooses ids and times: the longest ids, and one time for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_time_with_the_longest_ids_are_listed_once() {
    let stack = Stack::start().await;
    let day = 1_774_742_400_000_i64;
    let items = (0..400_i64).map(|index| {
        let id = format!("{}{index}", "\u{10ffff}\"".repeat(400));
        built(
            &id,
            "RCS",
            ["clicked", "received", "sent"][usize::try_from(index % 3).unwrap()],
            day,
            &json!({}),
        )
    });
    let items: Vec<Item> = items.collect();
    stack.storage.put_all(items.clone()).await;
    let dashboard = stack.function("dashboard", &[]).await;
    for order in ["newest", "oldest"] {
        let listed = keys(&pages(&dashboard, &format!("day=2026-03-29&limit=9&order={order}")).await);
        let unique: BTreeSet<Key> = listed.iter().map(|(_, key)| key.clone()).collect();
        assert_eq!((listed.len(), unique), (400, items.iter().map(key).collect()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_values_are_words_and_forged_cursors_are_refused() {
    let (stack, _) = stack_with_events().await;
    let dashboard = stack.function("dashboard", &[]).await;
    for value in [
        "%00",
        "'%20OR%201=1--",
        "%22%7D%7D",
        "%F4%8F%BF%BF",
        "=cmd%7C'/C%20calc'!A0",
        &"x".repeat(5_000),
    ] {
        for name in ["tag", "bot", "campaign", "template", "type", "reason", "channel"] {
            let page = page(&dashboard, &format!("day=2026-03-29&{name}={value}")).await;
            assert_eq!(page["events"], json!([]), "{name}={value}");
        }
    }
    let encoded = |cursor: &Value| URL_SAFE_NO_PAD.encode(cursor.to_string());
    let real = page(&dashboard, "day=2026-03-29&limit=3").await["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let decoded = decode(&real);
    let same = ask(
        &dashboard,
        &format!("day=2026-03-29&cursor={}", encoded(&decoded)),
    )
    .await;
    assert_eq!(same.status, 200, "{}", same.body);
    let forged = |change: fn(&mut Value)| {
        let mut cursor = decoded.clone();
        change(&mut cursor);
        encoded(&cursor)
    };
    for cursor in [
        forged(|c| c["span"] = json!({"from": 0, "to": i64::MAX})),
        forged(|c| c["span"] = json!({"from": i64::MIN, "to": i64::MAX})),
        forged(|c| c["span"] = json!({"from": 5, "to": 4})),
        forged(|c| c["position"]["at"] = json!(0)),
        forged(|c| c["position"]["at"] = json!(i64::MAX)),
        forged(|c| c["position"]["partition"] = json!(-1)),
        forged(|c| c["position"]["after"] = json!(["", ""])),
        forged(|c| c["list"] = json!("x")),
        "e30".to_owned(),
        "null".to_owned(),
    ] {
        let answer = ask(&dashboard, &format!("day=2026-03-29&cursor={cursor}")).await;
        assert_eq!(answer.status, 400, "{:?}: {}", decode(&cursor), answer.body);
    }
}

fn decode(cursor: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
