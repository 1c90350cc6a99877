//! One handler for each path and method: what its types say is checked before it runs.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::Value;

use crate::{
    Parts,
    answers::{
        DeadLetters, Discarded, Empty, Events, Health, Message, PersonEvents, Redriven, Session, Summary,
    },
    bounds::bounded,
    caller::{Caller, Peer},
    csv,
    extract::{InPath, Query, Sent},
    params::{
        self, Content, DayQuery, DeadLetterName, DeadLettersQuery, Format, MessageName, MessageQuery,
        NoQuery, Number, RecipientQuery, SummaryQuery,
    },
    parts::{Page, Part},
    refusal::Refusal,
    respond::{Listed, Nothing, Table, Told, WithCookie},
    sign_in::{self, Password},
    timeline,
};

type Shared = State<Arc<Parts>>;

pub(crate) async fn health(_: Query<NoQuery>) -> Result<Json<Health>, Refusal> {
    Ok(Json(Health { status: "ok" }))
}

pub(crate) async fn session(
    State(parts): Shared,
    caller: Caller,
    _: Query<NoQuery>,
) -> Result<Told<Session>, Refusal> {
    Ok(caller.tell(sign_in::session(&parts, caller.role)))
}

pub(crate) async fn sign_in(
    State(parts): Shared,
    peer: Peer,
    _: Query<NoQuery>,
    Sent(password): Sent<Password>,
) -> Result<WithCookie<Json<Session>>, Refusal> {
    let (cookie, session) = sign_in::sign_in(&parts, &peer, password).await?;
    let answer = Json(session);
    Ok(WithCookie { cookie, answer })
}

pub(crate) async fn sign_out(
    State(parts): Shared,
    peer: Peer,
    _: Query<NoQuery>,
) -> Result<WithCookie<Nothing>, Refusal> {
    let cookie = sign_in::sign_out(&parts, &peer).await?;
    let answer = axum::response::NoContent;
    Ok(WithCookie { cookie, answer })
}

pub(crate) async fn message(
    State(parts): Shared,
    caller: Caller,
    InPath(MessageName { message_id }): InPath<MessageName>,
    query: Query<MessageQuery>,
) -> Result<Told<Message>, Refusal> {
    let no_event = || Refusal::NotFound("no event of this message is stored".into());
    let id = caller.message_id(message_id)?.ok_or_else(no_event)?;
    let cursor = caller.cursor(query.asked.cursor)?;
    let read = parts.table.message(&id, cursor.as_deref()).await?;
    if read.items.is_empty() {
        return Err(no_event());
    }
    let around = parts.table.around(&id, &read.items).await?;
    Ok(caller.tell(timeline::message(&id, &read, &around)))
}

pub(crate) async fn recipient(
    State(parts): Shared,
    caller: Caller,
    InPath(number): InPath<Number>,
    query: Query<RecipientQuery>,
) -> Result<Listed<PersonEvents>, Refusal> {
    caller.must_see_numbers("your role cannot look up numbers")?;
    let number = number.digits()?;
    let cursor = caller.cursor(query.asked.cursor.clone())?;
    if query.asked.format == Some(Format::Csv) {
        let page = params::lines(cursor);
        let is_first = page.cursor.is_none();
        let part = parts.table.recipient(&number, page).await?;
        // The name of a file holds no number.
        return table(&caller, &query, "events-of-a-number.csv".into(), part, is_first);
    }
    let has_before = cursor.is_some();
    let page = Page {
        size: timeline::size_with_outcome,
        ..query.asked.limit.page(cursor, false)
    };
    let part = parts.table.recipient(&number, page).await?;
    let beside = parts.table.beside(&number, &part, has_before).await?;
    Ok(Listed::Json(caller.tell(timeline::person(part, &beside))))
}

pub(crate) async fn day(
    State(parts): Shared,
    caller: Caller,
    query: Query<DayQuery>,
) -> Result<Listed<Events>, Refusal> {
    caller.may_search(&[&query.asked.channel, &query.asked.status])?;
    let wanted = query.asked.wanted()?;
    let cursor = caller.cursor(query.asked.cursor.clone())?;
    if query.asked.format == Some(Format::Csv) {
        let page = params::lines(cursor);
        let is_first = page.cursor.is_none();
        let part = parts.table.day(&wanted, page).await?;
        let name = format!("events-{}.csv", wanted.day);
        return table(&caller, &query, name, part, is_first);
    }
    let page = query.asked.limit.page(cursor, !caller.may.see_numbers);
    let part = parts.table.day(&wanted, page).await?;
    Ok(Listed::Json(caller.tell(events(part))))
}

pub(crate) async fn summary(
    State(parts): Shared,
    caller: Caller,
    query: Query<SummaryQuery>,
) -> Result<Told<Summary>, Refusal> {
    let asked = &query.asked;
    caller.may_search(&[&asked.bot, &asked.tag, &asked.channel])?;
    let summary = parts.counters.summary(&asked.range()?).await?;
    Ok(caller.tell(bounded(summary)))
}

pub(crate) async fn dead_letters(
    State(parts): Shared,
    caller: Caller,
    query: Query<DeadLettersQuery>,
) -> Result<Told<DeadLetters>, Refusal> {
    let is_full = query.asked.content == Some(Content::Full);
    if is_full {
        caller.must_see_numbers("your role sees no content")?;
    }
    Ok(caller.tell(parts.queues.look(!is_full).await?))
}

pub(crate) async fn redrive(
    State(parts): Shared,
    caller: Caller,
    InPath(DeadLetterName { id }): InPath<DeadLetterName>,
    _: Query<NoQuery>,
    _: Sent<Empty>,
) -> Result<Json<Redriven>, Refusal> {
    may_change_queues(&caller)?;
    parts.queues.redrive(&id).await?;
    taken_out("redrive", &caller, &id);
    Ok(Json(Redriven { redriven: 1 }))
}

pub(crate) async fn discard(
    State(parts): Shared,
    caller: Caller,
    InPath(DeadLetterName { id }): InPath<DeadLetterName>,
    _: Query<NoQuery>,
    _: Sent<Empty>,
) -> Result<Json<Discarded>, Refusal> {
    may_change_queues(&caller)?;
    let letter: Value = parts.queues.discard(&id).await?;
    taken_out("discard", &caller, &id);
    Ok(Json(Discarded { discarded: 1, letter }))
}

fn may_change_queues(caller: &Caller) -> Result<(), Refusal> {
    if caller.may.redrive && caller.may.discard {
        return Ok(());
    }
    Err(Refusal::Forbidden(
        "your role or this function may not change the queues",
    ))
}

fn taken_out(action: &str, caller: &Caller, id: &str) {
    tracing::info!(
        action,
        role = caller.role.as_str(),
        sqs_message_id = id,
        "a dead letter was taken out"
    );
}

fn events(part: Part) -> Events {
    Events {
        events: part.items.iter().map(timeline::event).collect(),
        cursor: part.cursor,
        truncated: false,
    }
}

/// A part of a list as a table.
fn table<Q, A>(
    caller: &Caller,
    query: &Query<Q>,
    name: String,
    part: Part,
    is_first: bool,
) -> Result<Listed<A>, Refusal> {
    let truncated = part.cursor.is_some();
    let part = caller.redacted(events(part));
    let lines = csv::table(&part.events, is_first)
        .map_err(|_| Refusal::Unavailable("the table could not be written".into()))?;
    Ok(Listed::Csv(Table {
        name,
        lines,
        next: part.cursor.map(|cursor| query.next(&cursor)),
        truncated,
    }))
}
