//! Conditions and ranges, compared with a recount.

use super::*;

/// All events.
const ALL: &str = "from=2026-03-28&to=2026-03-30";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_filter_lists_the_events_of_a_recount() {
    let (stack, rows) = stack_with_events().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let reason = |row: &Row, text: &str| matches!(row.status, "failed" | "not_sent") && row.remarks == text;
    let machines: BTreeSet<&Key> = rows
        .iter()
        .filter(|(_, item)| item.contains_key("opened_by"))
        .map(|(row, _)| &row.key)
        .collect();
    let cases: Vec<(&str, Condition<'_>)> = vec![
        ("", Box::new(|_| true)),
        ("&status=failed", Box::new(|row| row.status == "failed")),
        (
            "&status=Not%20sent,FAILED",
            Box::new(|row| matches!(row.status, "failed" | "not_sent")),
        ),
        (
            "&status=deferred,clicked",
            Box::new(|row| matches!(row.status, "deferred" | "clicked")),
        ),
        ("&status=opened", Box::new(|row| row.status == "opened")),
        (
            "&status=opened_by_machine",
            Box::new(|row| machines.contains(&row.key)),
        ),
        (
            "&status=opened_by_machine,read",
            Box::new(|row| row.status == "read" || machines.contains(&row.key)),
        ),
        (
            "&status=opened_by_person",
            Box::new(|row| row.status == "opened" && !machines.contains(&row.key)),
        ),
        (
            "&status=opened_by_person,opened_by_machine",
            Box::new(|row| row.status == "opened"),
        ),
        ("&status=bounced", Box::new(|_| false)),
        ("&channel=sms", Box::new(|row| row.channel == "SMS")),
        ("&channel=sms,viber", Box::new(|row| row.channel != "RCS")),
        (
            "&channel=RCS&status=read",
            Box::new(|row| row.channel == "RCS" && row.status == "read"),
        ),
        ("&bot=682", Box::new(|row| row.bot == "682")),
        ("&tag=a%26b%3Dc", Box::new(|row| row.tags.contains(&"a&b=c"))),
        ("&tag=D%C3%ADa", Box::new(|row| row.tags.contains(&"Día"))),
        ("&campaign=Diwali%202026", Box::new(|row| row.campaign.is_some())),
        ("&template=temp_a", Box::new(|row| row.template == Some("temp_a"))),
        ("&type=text", Box::new(|row| row.message_type != "Carousel")),
        ("&country=us", Box::new(|row| row.country == Some("US"))),
        ("&country=IN", Box::new(|row| row.country == Some("IN"))),
        ("&reason=not%20RCS", Box::new(move |row| reason(row, "not RCS"))),
        (
            "&reason=no%20reason%20given",
            Box::new(move |row| reason(row, "")),
        ),
        (
            // As counted: with a redacted number.
            "&reason=Operator%20rejected%20*********210&status=failed",
            Box::new(move |row| row.status == "failed" && reason(row, "Operator rejected 919876543210")),
        ),
        (
            "&channel=RCS&bot=683&tag=x&country=CA",
            Box::new(|row| {
                row.channel == "RCS"
                    && row.bot == "683"
                    && row.tags.contains(&"x")
                    && row.country == Some("CA")
            }),
        ),
        (
            "&status=sent,delivered&campaign=Diwali%202026&type=CAROUSEL",
            Box::new(|row| {
                matches!(row.status, "sent" | "delivered")
                    && row.campaign.is_some()
                    && row.message_type == "Carousel"
            }),
        ),
    ];
    check_cases(&stack, &dashboard, &rows, &cases).await;
    // 2026-03-28T22:30Z to two hours later.
    let part = "from=2026-03-28T22:30&to=2026-03-29T00:30";
    let is_in_part = |row: &Row| row.at < BEGIN + 7_200_000;
    check(&dashboard, &rows, part, &[1, 6], is_in_part).await;
}

/// Checks lists of all events with filters: without counters, and with counters, which leave hours out, but no event.
async fn check_cases(
    stack: &Stack,
    dashboard: &Function,
    rows: &[(Row, Item)],
    cases: &[(&str, Condition<'_>)],
) {
    for is_counted in [false, true] {
        if is_counted {
            count(stack).await;
        }
        for (filter, is_wanted) in cases {
            let found = rows.iter().filter(|(row, _)| is_wanted(row)).count();
            assert!(found > 0 || filter.contains("bounced"), "{filter} is no test");
            let limits: &[usize] = if is_counted { &[200] } else { &[23, 200] };
            check(dashboard, rows, &format!("{ALL}{filter}"), limits, is_wanted).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_by_price_and_by_hour_list_the_events_of_a_recount() {
    let (stack, rows) = stack_with_events().await;
    let dashboard = stack.function("dashboard", &[]).await;
    let cases: Vec<(&str, Condition<'_>)> = vec![
        ("&country=-", Box::new(|row| row.country.is_none())),
        (
            "&category=marketing",
            Box::new(|row| category(row) == Some("marketing")),
        ),
        (
            "&category=uncategorised",
            Box::new(|row| row.price == Some((None, true))),
        ),
        ("&category=-", Box::new(|row| category(row).is_none())),
        (
            "&billable=false",
            Box::new(|row| row.price == Some((Some("marketing"), false))),
        ),
        ("&billable=unknown", Box::new(|row| row.price.is_none())),
        (
            "&billable=true,unknown&category=-",
            Box::new(|row| category(row).is_none()),
        ),
        (
            "&billable=true&category=-",
            Box::new(|row| row.price == Some((None, true))),
        ),
        (
            "&billable=true&category=marketing&channel=SMS",
            Box::new(|row| row.price == Some((Some("marketing"), true)) && row.channel == "SMS"),
        ),
        ("&hour=23", Box::new(|row| hour_of(row.at, 0) == 23)),
        // 2026-03-29 is a Sunday.
        (
            "&weekday=7",
            Box::new(|row| (BEGIN + 5_400_000..BEGIN + 91_800_000).contains(&row.at)),
        ),
        (
            "&weekday=1&hour=4&tz=Asia/Kolkata",
            // 04:00 in India is 22:30 of the day before.
            Box::new(|row| (BEGIN + 86_400_000..BEGIN + 90_000_000).contains(&row.at)),
        ),
        (
            "&hour=4&tz=Asia/Kolkata&status=sent,read",
            Box::new(|row| hour_of(row.at, 330) == 4 && matches!(row.status, "sent" | "read")),
        ),
        (
            "&weekday=7&hour=3&tz=Europe/Berlin",
            // The clocks go from 02:00 to 03:00, at 01:00 UTC.
            Box::new(|row| (BEGIN + 9_000_000..BEGIN + 12_600_000).contains(&row.at)),
        ),
    ];
    check_cases(&stack, &dashboard, &rows, &cases).await;
    let skipped = page(
        &dashboard,
        &format!("{ALL}&category=utility&limit=1&order=oldest"),
    )
    .await;
    assert!(skipped["skipped_hours"].as_i64().unwrap() > 3, "{skipped}");
}

fn category(row: &Row) -> Option<&'static str> {
    row.price.and_then(|(category, _)| category)
}

/// The hour of the day, so many minutes ahead of UTC.
fn hour_of(at: i64, minutes: i64) -> i64 {
    (at + minutes * 60_000).div_euclid(3_600_000).rem_euclid(24)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_are_of_the_time_zone() {
    let (stack, rows) = stack_with_events().await;
    let dashboard = stack.function("dashboard", &[]).await;
    for (query, from, to) in [
        // 2026-03-29T00:00Z to the day after.
        ("day=2026-03-29", 1_774_742_400_000, 1_774_828_800_000),
        (
            "from=2026-03-29&to=2026-03-29",
            1_774_742_400_000,
            1_774_828_800_000,
        ),
        ("to=2026-03-29", 1_774_742_400_000, 1_774_828_800_000),
        (
            "from=2026-03-29T00:00:00Z&to=2026-03-30T00:00Z",
            1_774_742_400_000,
            1_774_828_800_000,
        ),
        // 5:30 ahead of UTC.
        (
            "day=2026-03-29&tz=Asia/Kolkata",
            1_774_722_600_000,
            1_774_809_000_000,
        ),
        (
            "from=2026-03-29T00:00&to=2026-03-29T12:00&tz=Asia%2FKolkata",
            1_774_722_600_000,
            1_774_765_800_000,
        ),
        (
            "from=2026-03-29T00:00%2B05:30&to=2026-03-29T12:00+05:30",
            1_774_722_600_000,
            1_774_765_800_000,
        ),
        // A day of 23 hours.
        (
            "day=2026-03-29&tz=Europe/Berlin",
            1_774_738_800_000,
            1_774_821_600_000,
        ),
        // The end is the first time after the range: these two meet at an event's time.
        (
            "from=2026-03-28&to=2026-03-28T23:40:00Z",
            1_774_656_000_000,
            1_774_741_200_000,
        ),
        (
            "from=2026-03-28T23:40:00Z&to=2026-03-28",
            1_774_741_200_000,
            1_774_742_400_000,
        ),
        (
            "from=2026-03-01&to=2026-03-31",
            1_772_323_200_000,
            1_775_001_600_000,
        ),
    ] {
        let found = rows
            .iter()
            .filter(|(row, _)| (from..to).contains(&row.at))
            .count();
        assert!(found > 0, "{query} is no test");
        check(&dashboard, &rows, query, &[200], |row| {
            (from..to).contains(&row.at)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_filter_is_named_in_the_error() {
    let stack = Stack::start().await;
    let dashboard = stack.function("dashboard", &[]).await;
    for (query, expected) in [
        (
            "day=2026-03-29&from=2026-03-29",
            "use day, or from and to, not both",
        ),
        (
            "from=2026-03-30&to=2026-03-29",
            "from must be before to, and the range must have at most 366 days",
        ),
        (
            "from=2026-03-29T10:00&to=2026-03-29T10:00",
            "from must be before to, and the range must have at most 366 days",
        ),
        (
            "from=2024-03-29&to=2026-03-29",
            "from must be before to, and the range must have at most 366 days",
        ),
        (
            "from=9999-12-31&to=9999-12-31",
            "the range is beyond the calendar",
        ),
        (
            "from=yesterday",
            "from must be a date, YYYY-MM-DD, or a time, such as 2026-11-21T10:15 or 2026-11-21T10:15:00+05:30",
        ),
        (
            "tz=Mars/Phobos",
            "tz must be the IANA name of a time zone, such as Asia/Kolkata",
        ),
        (
            "country=India",
            "country must be two letters of ISO 3166-1, such as IN",
        ),
        ("weekday=8", "weekday must be a number from 1 (Monday) to 7"),
        ("hour=24", "hour must be a number from 0 to 23"),
        (
            "billable=maybe",
            "billable must be true, false or unknown, or several of them with commas between them",
        ),
        ("order=random", "order must be newest or oldest"),
        ("status=,sent", "status has no letters"),
        (
            "status=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u",
            "status must have at most 20 words",
        ),
    ] {
        let answer = ask(&dashboard, query).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (400, Some(expected)),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_filters_without_numbers() {
    let (stack, _) = stack_with_events().await;
    let viewer = stack.function("dashboard", &[("DASHBOARD_ROLE", "viewer")]).await;
    let list = page(
        &viewer,
        "from=2026-03-28T23:00&to=2026-03-30&tag=x&reason=not%20RCS&limit=4",
    )
    .await;
    assert_eq!(list["events"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&list["truncated"], &list["cursor"]),
        (&json!(true), &json!(null))
    );
    assert!(!list.to_string().contains("9812345678"));
    for query in [
        "country=IN",
        "tag=919812345678",
        "campaign=a@b.example",
        "reason=Operator%20rejected%20919876543210",
        "bot=+91%2098123%2045678",
        "type=919812345678",
        "template=919812345678",
        "category=919812345678",
        "status=sent,x919812345678",
        "cursor=x",
    ] {
        assert_eq!(ask(&viewer, query).await.status, 403, "{query}");
    }
}
