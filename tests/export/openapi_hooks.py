"""What /openapi.json cannot say about valid requests: dependences between parameters, and texts that only the API makes."""

import datetime

import schemathesis

# Dimensions of the overview that do not combine with each other.
EXCLUSIVE = [("bot", "tag"), ("campaign",), ("template",), ("country",)]
# Days of a range in UTC, and in another time zone.
MAX_DAYS, MAX_ZONE_DAYS = 366, 31


def day(text):
    try:
        return datetime.date.fromisoformat(text[:10])
    except ValueError:
        return None


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a valid request valid as a whole. Requests that violate the schema stay as they are."""
    query = case.query
    if case.meta is None or not case.meta.generation.mode.is_positive or not query:
        return
    # Only a previous response has a valid cursor.
    query.pop("cursor", None)
    # Names of time zones are a list of hundreds.
    if query.get("tz"):
        query["tz"] = "Asia/Kolkata"
    most = MAX_ZONE_DAYS if query.get("tz") else MAX_DAYS
    today = datetime.datetime.now(datetime.timezone.utc).date()
    if query.get("from"):
        first, last = day(str(query["from"])), day(str(query.get("to") or "")) or today
        if first is None or not 0 <= (last - first).days < most:
            del query["from"]
    if query.get("to") and not query.get("from"):
        # The first day is 29 days earlier.
        last = day(str(query["to"]))
        if last is None or last.year < 2:
            del query["to"]
    used = [names for names in EXCLUSIVE if any(query.get(name) for name in names)]
    for names in used[1:]:
        for name in names:
            query.pop(name, None)
    # A status without letters or digits names none.
    if "status" in query and not any(c.isascii() and c.isalnum() for c in str(query["status"])):
        del query["status"]
