//! Layout of the embedded DynamoDB in its SQLite file. `dynoxide` stores an item three times if two
//! indexes project it, and reads whole tables for several lookups. In this layout an item is stored
//! once, and every lookup has an index.
//!
//! A DynamoDB index becomes a view with the name of the table that `dynoxide` would create. Reading
//! the view returns the projected attributes of the base table's items; writing to it does nothing. The keys of the view are
//! generated columns, computed from the item. The layout is plain SQL, so any SQLite tool can read
//! the file.

use std::fmt::Write as _;

use anyhow::Context as _;
use dynoxide::types::{
    AttributeDefinition, GlobalSecondaryIndex, KeyType, ProjectionType, ScalarAttributeType,
};
use rusqlite::Connection;

use super::{
    names::{keys_of, quoted},
    stream,
};

/// SQLite's page size in bytes: items of about 1 KB use such a page better than the default of 4,096.
const PAGE_BYTES: u32 = 8192;

/// Settings of an empty file: page size, and incremental vacuum to release free pages.
pub(super) fn initialize(file: &Connection) -> anyhow::Result<()> {
    file.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA user_version = 1;"
    ))
    .context("the tables' file could not be created")
}

/// Settings of each connection: deleted content is overwritten, not only unlinked.
pub(super) fn configure(connection: &Connection) -> anyhow::Result<()> {
    connection
        .execute_batch("PRAGMA secure_delete = ON")
        .context("secure_delete could not be enabled")?;
    stream::prepare(connection)
}

/// The part of a table's description in `dynoxide` that this module needs.
pub(super) struct Table<'t> {
    pub(super) name: &'t str,
    /// JSON, as `CreateTable` takes it.
    pub(super) attributes: &'t str,
    /// JSON, as `CreateTable` takes it.
    pub(super) indexes: Option<&'t str>,
    /// Name of the time-to-live attribute.
    pub(super) expires: Option<&'t str>,
}

/// Creates the layout of a table if it does not exist. Converts a table of an earlier version, in
/// about a minute for a million items.
pub(super) fn create(connection: &Connection, table: &Table<'_>) -> anyhow::Result<()> {
    let indexes: Vec<GlobalSecondaryIndex> = match table.indexes {
        Some(indexes) => serde_json::from_str(indexes)?,
        None => Vec::new(),
    };
    let attributes: Vec<AttributeDefinition> = serde_json::from_str(table.attributes)?;
    let items = quoted(table.name);
    let mut statements = String::new();
    if let Some(attribute) = table.expires {
        write!(
            statements,
            "CREATE INDEX IF NOT EXISTS {} ON {items} ({expiry}) WHERE {expiry} IS NOT NULL;",
            quoted(&format!("{}::expires", table.name)),
            expiry = expiry(attribute),
        )?;
    }
    // For scans in segments.
    write!(
        statements,
        "CREATE INDEX IF NOT EXISTS {} ON {items} (hash_prefix);",
        quoted(&format!("{}::segments", table.name)),
    )?;
    for index in &indexes {
        statements.push_str(&view(connection, table.name, index, &attributes)?);
    }
    connection
        .execute_batch(&format!("BEGIN IMMEDIATE; {statements} COMMIT;"))
        .with_context(|| format!("the layout of the table {} could not be created", table.name))
}

/// SQL that replaces an index by a view; empty if the view exists.
fn view(
    connection: &Connection,
    table: &str,
    index: &GlobalSecondaryIndex,
    attributes: &[AttributeDefinition],
) -> anyhow::Result<String> {
    let name = format!("{table}::gsi::{}", index.index_name);
    let kind: Option<String> = connection
        .query_row("SELECT type FROM sqlite_master WHERE name = ?1", [&name], |row| {
            row.get(0)
        })
        .map(Some)
        .or_else(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => Ok(None),
            other => Err(other),
        })?;
    if kind.as_deref() == Some("view") {
        return Ok(String::new());
    }
    let part = |wanted: KeyType| {
        let key = index.key_schema.iter().find(|key| key.key_type == wanted);
        key.and_then(|key| {
            let attribute = attributes
                .iter()
                .find(|attribute| attribute.attribute_name == key.attribute_name)?;
            Some(key_string(&key.attribute_name, &attribute.attribute_type))
        })
        .with_context(|| format!("the index {} has no {wanted:?} key", index.index_name))
    };
    let (items, shown) = (quoted(table), quoted(&name));
    let projected = projected(table, index);
    let (partition, sort) = (
        quoted(&format!("{}::pk", index.index_name)),
        quoted(&format!("{}::sk", index.index_name)),
    );
    Ok(format!(
        "DROP TABLE IF EXISTS {shown};
         ALTER TABLE {items} ADD COLUMN {partition} TEXT GENERATED ALWAYS AS ({}) VIRTUAL;
         ALTER TABLE {items} ADD COLUMN {sort} TEXT GENERATED ALWAYS AS ({}) VIRTUAL;
         CREATE INDEX {} ON {items} ({partition}, {sort}) WHERE {partition} IS NOT NULL AND {sort} IS NOT NULL;
         CREATE VIEW {shown} AS
             SELECT {partition} AS gsi_pk, {sort} AS gsi_sk, pk AS table_pk, sk AS table_sk, {projected} AS item_json
             FROM {items} WHERE {partition} IS NOT NULL AND {sort} IS NOT NULL;
         CREATE TRIGGER {} INSTEAD OF INSERT ON {shown} BEGIN SELECT 1; END;
         CREATE TRIGGER {} INSTEAD OF DELETE ON {shown} BEGIN SELECT 1; END;",
        part(KeyType::HASH)?,
        part(KeyType::RANGE)?,
        quoted(&format!("{name}::keys")),
        quoted(&format!("{name}::insert")),
        quoted(&format!("{name}::delete")),
    ))
}

/// SQL for what an index contains of an item: the keys of the table and of the index, and the projected
/// attributes.
fn projected(table: &str, index: &GlobalSecondaryIndex) -> String {
    if !matches!(
        index.projection.projection_type,
        Some(ProjectionType::KEYS_ONLY | ProjectionType::INCLUDE)
    ) {
        return "item_json".to_owned();
    }
    let names: Vec<String> = keys_of(table)
        .into_iter()
        .flatten()
        .chain(index.key_schema.iter().map(|key| key.attribute_name.as_str()))
        .chain(
            index
                .projection
                .non_key_attributes
                .iter()
                .flatten()
                .map(String::as_str),
        )
        .map(|name| format!("'{}'", name.replace('\'', "''")))
        .collect();
    format!(
        "(SELECT json_group_object(key, json(value)) FROM json_each(item_json) WHERE key IN ({}))",
        names.join(", ")
    )
}

/// SQL for a key as `dynoxide` stores and compares it, computed from the item; NULL if the item
/// does not have the attribute.
///
/// A number is a sortable text: a sign, the exponent plus 5,000, and 40 digits. This expression
/// covers 0 and positive integers of up to 40 digits, and receivers write only such keys. An item
/// with another number is in the table but not in the index.
fn key_string(attribute: &str, kind: &ScalarAttributeType) -> String {
    let value = |kind: &str| {
        format!(
            "json_extract(item_json, '$.{}.{kind}')",
            attribute.replace('\'', "''")
        )
    };
    match kind {
        ScalarAttributeType::N => {
            let number = value("N");
            let zeros = "0".repeat(40);
            format!(
                "CASE WHEN {number} = '0' THEN 'N:10000{zeros}'
                      WHEN {number} GLOB '[1-9]*' AND {number} NOT GLOB '*[^0-9]*' AND length({number}) <= 40
                      THEN 'N:2' || (5000 + length({number})) || substr({number} || '{zeros}', 1, 40) END"
            )
        }
        ScalarAttributeType::B => format!("'B:' || {}", value("B")),
        ScalarAttributeType::S => format!("'S:' || {}", value("S")),
    }
}

/// SQL for the expiry of an item, in seconds since 1970; NULL without the attribute.
pub(super) fn expiry(attribute: &str) -> String {
    format!("CAST(json_extract(item_json, '$.{attribute}.N') AS INTEGER)")
}

/// Returns free pages to the file system, except `but` pages.
pub(super) fn release_free_pages(connection: &Connection, but: u32) -> anyhow::Result<()> {
    let free: u32 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    let surplus = free.saturating_sub(but);
    if surplus > 0 {
        // Each step of the statement releases one page.
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({surplus})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Converts the file of an earlier version, so that it can release free pages.
pub(super) fn enable_incremental_vacuum(connection: &Connection) -> anyhow::Result<()> {
    const INCREMENTAL: u32 = 2;
    let found: u32 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
    let in_file = connection.path().is_some_and(|path| !path.is_empty());
    if found == INCREMENTAL || !in_file {
        return Ok(());
    }
    tracing::warn!(
        "converting the folder of an earlier version; this happens once and takes about a minute for a million events"
    );
    // The earlier version never deleted stream records. Those older than a day are counted, but
    // their dedup markers have expired: read again, they would be counted twice.
    while stream::expire(connection)? {}
    connection
        .execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
        .context("the tables' file could not be converted")
}

/// Removes deleted content from the file and from the write-ahead log.
pub(super) fn purge(connection: &Connection) -> anyhow::Result<()> {
    release_free_pages(connection, 0)?;
    let is_busy: bool = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .context("the write-ahead log could not be emptied")?;
    anyhow::ensure!(!is_busy, "the write-ahead log could not be emptied: it is in use");
    Ok(())
}
