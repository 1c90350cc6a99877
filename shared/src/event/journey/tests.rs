use super::*;
use proptest::prelude::*;

fn step<'e>(message_id: &'e str, channel: &str, word: &str, at: EpochMillis) -> Step<'e> {
    Step {
        message_id,
        update: StatusUpdate {
            channel: Channel::from_word(channel),
            status: Status::from_word(word).unwrap(),
            at,
        },
        request_id: None,
        callback_data: None,
        in_reply_to: None,
        remarks: None,
        format: None,
    }
}

fn of<'e>(request_id: &'e str, step: Step<'e>) -> Step<'e> {
    Step {
        request_id: Some(request_id),
        ..step
    }
}

/// `["rcs RCS failed, sms SMS delivered: 0 1 2"]`
fn drawn(steps: &[Step<'_>]) -> Vec<String> {
    let line = |journey: Journey| {
        let legs: Vec<String> = journey
            .legs
            .iter()
            .map(|leg| {
                format!(
                    "{} {} {}",
                    leg.message_id,
                    leg.leg.channel.as_str(),
                    leg.leg.state
                )
            })
            .collect();
        let steps: Vec<String> = journey.steps.iter().map(ToString::to_string).collect();
        format!("{}: {}", legs.join(", "), steps.join(" "))
    };
    journeys(steps).into_iter().map(line).collect()
}

fn outcome_of(steps: &[Step<'_>]) -> MessageLeg {
    let steps: Vec<&Step<'_>> = steps.iter().collect();
    outcome(&legs(&steps)).unwrap().clone()
}

#[test]
fn an_sms_after_rcs_is_one_journey_in_any_order() {
    let mut steps = vec![
        of("r", step("sms", "SMS", "delivered", 9)),
        of("r", step("sms", "SMS", "sent", 4)),
        of("r", step("rcs", "RCS", "failed", 3)),
        of("r", step("rcs", "RCS", "sent", 1)),
    ];
    assert_eq!(drawn(&steps), ["rcs RCS failed, sms SMS delivered: 0 1 2 3"]);
    steps.reverse();
    assert_eq!(drawn(&steps), ["rcs RCS failed, sms SMS delivered: 0 1 2 3"]);
    steps.extend(steps.clone());
    assert_eq!(
        drawn(&steps),
        ["rcs RCS failed, sms SMS delivered: 0 1 2 3 4 5 6 7"]
    );
}

#[test]
fn only_callback_data_and_requests_link_messages() {
    let with = |callback_data: &'static str, step: Step<'static>| Step {
        callback_data: Some(callback_data),
        ..step
    };
    let rcs = || with("c", step("rcs", "RCS", "not sent", 1));
    let sms = || step("sms", "SMS", "sent", 2);
    assert_eq!(
        drawn(&[rcs(), with("c", sms())]),
        ["rcs RCS not_sent, sms SMS sent: 0 1"]
    );
    for other in [
        sms(),
        with("", sms()),
        with("d", sms()),
        // A request id that equals the other message's callback data.
        of("c", sms()),
        with("c", step("second", "RCS", "sent", 2)),
        with("c", step("sms", "SMS", "sent", 2 + LINK_WINDOW_MS)),
    ] {
        assert_eq!(drawn(&[rcs(), other.clone()]).len(), 2, "{other:?}");
        assert_eq!(
            continues(&[rcs()], &other),
            other.update.at > LINK_WINDOW_MS,
            "the window is the caller's: {other:?}"
        );
    }
}

#[test]
fn a_fallback_continues_the_last_attempt_before_it() {
    let steps = [
        of("r", step("first", "RCS", "failed", 1)),
        of("r", step("second", "RCS", "failed", 2)),
        of("r", step("sms", "SMS", "sent", 3)),
    ];
    assert_eq!(
        drawn(&steps),
        ["first RCS failed: 0", "second RCS failed, sms SMS sent: 1 2"]
    );
}

#[test]
fn a_reply_belongs_to_the_message_it_answers() {
    let answer = |id: &'static str, to: &'static str, at: i64| Step {
        in_reply_to: Some(to),
        ..step(id, "RCS", "received", at)
    };
    let steps = [
        answer("third", "second", 9),
        answer("second", "rcs", 8),
        answer("elsewhere", "unknown", 7),
        step("rcs", "RCS", "read", 2),
    ];
    assert_eq!(
        drawn(&steps),
        ["rcs RCS read: 0 1 3", "elsewhere RCS received: 2"]
    );
    let circle = [answer("a", "b", 1), answer("b", "a", 2), answer("c", "c", 3)];
    assert_eq!(drawn(&circle).len(), 3);
}

#[test]
fn the_outcome_is_the_delivered_leg_or_the_last_attempt() {
    let rcs = step("m", "RCS", "failed", 0);
    let sms = step("s", "SMS", "delivered", 1);
    let whatsapp = step("w", "WHATSAPP", "failed", 2);
    let channel = |steps: &[Step<'_>]| outcome_of(steps).leg.channel.as_str().to_owned();
    assert_eq!(channel(&[rcs.clone(), sms.clone(), whatsapp.clone()]), "SMS");
    assert_eq!(channel(&[rcs, whatsapp]), "WHATSAPP");
    assert_eq!(channel(&[step("m", "RCS", "read", 0), sms.clone()]), "RCS");
    // A click proves a read, in any order of the events.
    assert_eq!(channel(&[step("m", "RCS", "clicked", 0), sms]), "RCS");
    assert_eq!(outcome(&[]), None);
}

#[test]
fn a_leg_has_the_reason_the_time_of_sending_and_the_clicks() {
    let remark = |text: &'static str, step: Step<'static>| Step {
        remarks: Some(text),
        ..step
    };
    let failed = [
        step("m", "RCS", "sent", 5),
        remark("carrier", step("m", "RCS", "sent", 1)),
        remark("late", step("m", "RCS", "failed", 9)),
        remark("early", step("m", "RCS", "blocked", 8)),
        remark("", step("m", "RCS", "not sent", 10)),
    ];
    let leg = outcome_of(&failed);
    assert_eq!(
        (leg.reason.as_deref(), leg.sent_at, leg.clicked),
        (Some("late"), Some(1), false)
    );
    let mut arrived = failed.to_vec();
    arrived.push(step("m", "RCS", "clicked", 20));
    let leg = outcome_of(&arrived);
    assert_eq!((leg.reason, leg.clicked, leg.incoming), (None, true, false));
    let long = "x".repeat(5_000);
    let told = Step {
        remarks: Some(&long),
        ..step("m", "RCS", "failed", 1)
    };
    assert_eq!(outcome_of(&[told]).reason.unwrap().len(), MAX_REASON_CHARS);

    let tapped = step("m", "RCS", "clicked", 1);
    assert!(!outcome_of(std::slice::from_ref(&tapped)).incoming);
    for incoming in [
        step("m", "RCS", "received", 1),
        Step {
            in_reply_to: Some("n"),
            ..tapped.clone()
        },
        Step {
            format: Some("whatsapp-incoming"),
            ..tapped
        },
    ] {
        assert!(
            outcome_of(std::slice::from_ref(&incoming)).incoming,
            "{incoming:?}"
        );
    }
}

fn any_step() -> impl Strategy<Value = Step<'static>> {
    let words = [
        "sent",
        "delivered",
        "read",
        "clicked",
        "failed",
        "received",
        "odd",
    ];
    (
        0..4_usize,
        0..3_usize,
        0..words.len(),
        0..4_i64,
        0..3_usize,
        0..5_usize,
    )
        .prop_map(move |(id, channel, word, at, request, to)| Step {
            request_id: [None, Some("r"), Some("q")][request],
            in_reply_to: ["a", "b", "c", "d"].get(to).copied(),
            ..step(
                ["a", "b", "c", "d"][id],
                ["RCS", "SMS", "WHATSAPP"][channel],
                words[word],
                at,
            )
        })
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_order_or_duplicates(steps in prop::collection::vec(any_step(), 1..10)) {
        let sorted = |steps: &[Step<'_>]| {
            let mut all: Vec<Vec<MessageLeg>> = journeys(steps).into_iter().map(|journey| journey.legs).collect();
            all.sort_by_key(|legs| legs.iter().map(|leg| leg.message_id.clone()).min());
            all
        };
        let mut twice: Vec<Step<'_>> = steps.iter().rev().chain(&steps).cloned().collect();
        prop_assert_eq!(sorted(&steps), sorted(&twice));
        let third = twice.len() / 3;
        twice.rotate_left(third);
        prop_assert_eq!(sorted(&steps), sorted(&twice));
    }

    #[test]
    fn every_event_is_in_one_journey(steps in prop::collection::vec(any_step(), 1..10)) {
        let mut all: Vec<usize> = journeys(&steps).into_iter().flat_map(|journey| journey.steps).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..steps.len()).collect::<Vec<usize>>());
    }
}
