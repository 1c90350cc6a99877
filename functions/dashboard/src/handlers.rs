//! One handler for each path and method. Extractors validate the request before it runs.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::Value;

use crate::{
    AppState,
    answers::{
        DeadLetters, Discarded, Empty, Events, Health, Message, PersonEvents, Redriven, Session, Summary,
    },
    bounds::bounded,
    caller::{Caller, Peer},
    csv,
    events_query::EventsQuery,
    extract::{JsonBody, PathParams, Query},
    pages::{Page, PageRequest},
    params::{
        self, Content, DeadLetterName, DeadLettersQuery, Format, MessageName, MessageQuery, NoQuery, Number,
        RecipientQuery, SummaryQuery,
    },
    refusal::Refusal,
    respond::{ForCaller, ListResponse, NoBody, Table, WithCookie},
    search::{answer::SearchResult, asked::SearchQuery},
    sign_in::{self, Password},
    timeline,
};

type Shared = State<Arc<AppState>>;

pub(crate) async fn health(_: Query<NoQuery>) -> Result<Json<Health>, Refusal> {
    Ok(Json(Health { status: "ok" }))
}

pub(crate) async fn session(
    State(parts): Shared,
    caller: Caller,
    _: Query<NoQuery>,
) -> Result<ForCaller<Session>, Refusal> {
    Ok(caller.respond(sign_in::session(&parts, caller.role)))
}

pub(crate) async fn sign_in(
    State(parts): Shared,
    peer: Peer,
    _: Query<NoQuery>,
    JsonBody(password): JsonBody<Password>,
) -> Result<WithCookie<Json<Session>>, Refusal> {
    let (cookie, session) = sign_in::sign_in(&parts, &peer, password).await?;
    let answer = Json(session);
    Ok(WithCookie { cookie, answer })
}

pub(crate) async fn sign_out(
    State(parts): Shared,
    peer: Peer,
    _: Query<NoQuery>,
) -> Result<WithCookie<NoBody>, Refusal> {
    let cookie = sign_in::sign_out(&parts, &peer).await?;
    let answer = axum::response::NoContent;
    Ok(WithCookie { cookie, answer })
}

pub(crate) async fn message(
    State(parts): Shared,
    caller: Caller,
    PathParams(MessageName { message_id }): PathParams<MessageName>,
    query: Query<MessageQuery>,
) -> Result<ForCaller<Message>, Refusal> {
    let no_event = || Refusal::NotFound("no event of this message is stored".into());
    let id = caller.message_id(message_id)?.ok_or_else(no_event)?;
    let cursor = caller.cursor(query.asked.cursor)?;
    let read = parts.table.message(&id, cursor.as_deref()).await?;
    if read.items.is_empty() {
        return Err(no_event());
    }
    let related = parts.table.related(&id, &read.items).await?;
    Ok(caller.respond(timeline::message(&id, &read, &related)))
}

pub(crate) async fn recipient(
    State(parts): Shared,
    caller: Caller,
    PathParams(number): PathParams<Number>,
    query: Query<RecipientQuery>,
) -> Result<ListResponse<PersonEvents>, Refusal> {
    caller.require_numbers("your role cannot look up people")?;
    let id = number.id()?;
    let cursor = caller.cursor(query.asked.cursor.clone())?;
    let ids = parts.people.ids(id).await?;
    if query.asked.format == Some(Format::Csv) {
        let request = params::lines(cursor);
        let is_first = request.cursor.is_none();
        let page = parts.table.person(&ids, request).await?;
        // The file name must not contain the number.
        return table(&caller, &query, "events-of-a-number.csv".into(), page, is_first);
    }
    let has_before = cursor.is_some();
    let request = PageRequest {
        size: timeline::size_with_outcome,
        ..query.asked.limit.page(cursor)
    };
    let page = parts.table.person(&ids, request).await?;
    let neighbors = parts.table.neighbors(&ids, &page, has_before).await?;
    Ok(ListResponse::Json(
        caller.respond(timeline::person(ids, page, &neighbors)),
    ))
}

pub(crate) async fn events(
    State(parts): Shared,
    caller: Caller,
    query: Query<EventsQuery>,
) -> Result<ListResponse<Events>, Refusal> {
    let asked = &query.asked;
    caller.check_search(&[
        &asked.channel,
        &asked.status,
        &asked.bot,
        &asked.tag,
        &asked.campaign,
        &asked.template,
        &asked.message_type,
        &asked.reason,
        &asked.category,
    ])?;
    if asked.country.is_some() {
        // The numbers of a small country have few digits besides those that a viewer sees.
        caller.require_numbers("your role cannot search for people by country")?;
    }
    let (list, name) = asked.list()?;
    let cursor = caller.cursor(asked.cursor.clone())?;
    if asked.format == Some(Format::Csv) {
        let request = params::lines(cursor);
        let is_first = request.cursor.is_none();
        let page = parts.table.events(&list, request).await?;
        return table(&caller, &query, name, page, is_first);
    }
    let page = parts.table.events(&list, asked.limit.page(cursor)).await?;
    Ok(ListResponse::Json(caller.respond(answer(page))))
}

pub(crate) async fn search(
    State(parts): Shared,
    caller: Caller,
    query: Query<SearchQuery>,
) -> Result<ForCaller<SearchResult>, Refusal> {
    let SearchQuery { q, limit } = query.asked;
    let term = caller.search_term(q)?;
    let with_people = caller.may.see_numbers;
    let result = parts.search.find(&term, limit.0, with_people).await?;
    Ok(caller.respond(result))
}

pub(crate) async fn summary(
    State(parts): Shared,
    caller: Caller,
    query: Query<SummaryQuery>,
) -> Result<ForCaller<Summary>, Refusal> {
    let asked = &query.asked;
    caller.check_search(&[
        &asked.bot,
        &asked.tag,
        &asked.channel,
        &asked.campaign,
        &asked.template,
        &asked.country,
    ])?;
    let summary = parts.counters.summary(&asked.range()?, asked.compares()).await?;
    Ok(caller.respond(bounded(summary)))
}

pub(crate) async fn dead_letters(
    State(parts): Shared,
    caller: Caller,
    query: Query<DeadLettersQuery>,
) -> Result<ForCaller<DeadLetters>, Refusal> {
    let is_full = query.asked.content == Some(Content::Full);
    if is_full {
        caller.require_numbers("your role sees no content")?;
    }
    Ok(caller.respond(parts.queues.look(!is_full).await?))
}

pub(crate) async fn redrive(
    State(parts): Shared,
    caller: Caller,
    PathParams(DeadLetterName { id }): PathParams<DeadLetterName>,
    _: Query<NoQuery>,
    _: JsonBody<Empty>,
) -> Result<Json<Redriven>, Refusal> {
    check_queue_permission(&caller)?;
    parts.queues.redrive(&id).await?;
    log_removal("redrive", &caller, &id);
    Ok(Json(Redriven { redriven: 1 }))
}

pub(crate) async fn discard(
    State(parts): Shared,
    caller: Caller,
    PathParams(DeadLetterName { id }): PathParams<DeadLetterName>,
    _: Query<NoQuery>,
    _: JsonBody<Empty>,
) -> Result<Json<Discarded>, Refusal> {
    check_queue_permission(&caller)?;
    let letter: Value = parts.queues.discard(&id).await?;
    log_removal("discard", &caller, &id);
    Ok(Json(Discarded { discarded: 1, letter }))
}

fn check_queue_permission(caller: &Caller) -> Result<(), Refusal> {
    if caller.may.redrive && caller.may.discard {
        return Ok(());
    }
    Err(Refusal::Forbidden(
        "your role or this function may not change the queues",
    ))
}

fn log_removal(action: &str, caller: &Caller, id: &str) {
    tracing::info!(
        action,
        role = caller.role.as_str(),
        sqs_message_id = id,
        "a dead letter was removed"
    );
}

fn answer(page: Page) -> Events {
    Events {
        events: page.items.iter().map(timeline::event).collect(),
        cursor: page.cursor,
        searched_to: page.searched_to,
        skipped_hours: page.skipped_hours,
        truncated: false,
    }
}

/// A page of a list as CSV.
fn table<Q, A>(
    caller: &Caller,
    query: &Query<Q>,
    name: String,
    page: Page,
    is_first: bool,
) -> Result<ListResponse<A>, Refusal> {
    let truncated = page.cursor.is_some();
    let page = caller.redacted(answer(page));
    let lines = csv::table(&page.events, is_first)
        .map_err(|_| Refusal::Unavailable("the table could not be written".into()))?;
    Ok(ListResponse::Csv(Table {
        name,
        lines,
        next: page.cursor.map(|cursor| query.next(&cursor)),
        truncated,
        skipped_hours: page.skipped_hours,
    }))
}
