// What a message or a reply contains: text, a tap, a file, a place, buttons. Pure functions of an event.

/** Maximum parts of one event, buttons of one part, and levels of nested content. */
const MAX_PARTS = 12;
const MAX_BUTTONS = 16;
const MAX_DEPTH = 4;
/** Fields with a file, in the forms of the gateways. */
const FILE_KINDS = ["text", "image", "video", "audio", "document"];

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const filled = (value) => typeof value === "string" && value.trim() !== "";
const firstFilled = (...values) => values.find(filled)?.trim();
const count = (value) => (Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : null);

/**
 * The parts of an event, in order:
 * `{kind:"text", text}`, `{kind:"tap", text}`, `{kind:"file", name, type, bytes}`,
 * `{kind:"place", latitude, longitude, name}` (degrees, as the provider sent them), `{kind:"buttons", labels}`.
 */
export function partsOf({ click, content }) {
  const tap = isObject(click) ? tapped(click) : undefined;
  if (tap) return [{ kind: "tap", text: tap }];
  if (filled(content)) return [{ kind: "text", text: content.trim() }];
  return isObject(content) ? inside(content, 0).slice(0, MAX_PARTS) : [];
}

function tapped(click) {
  const answer = click.interactive_type;
  const tap = [click.suggestionResponse, click.button_type, click.text_type, answer?.button_reply, answer?.list_reply, click].find(isObject);
  return firstFilled(tap.text, tap.title, tap.plainText, tap.postbackData, tap.postBack?.data, tap.payload, tap.url);
}

function inside(content, depth) {
  if (depth > MAX_DEPTH) return [];
  const parts = [];
  const text = firstFilled(content.text) ?? title(content);
  if (text) parts.push({ kind: "text", text });
  // A gateway nests a card or carousel in `message`, and a file in a field with its kind, or in `text`.
  if (isObject(content.message)) parts.push(...inside(content.message, depth + 1));
  const nested = FILE_KINDS.map((kind) => content[kind]).find(isObject);
  const file = content.userFile?.payload ?? nested ?? (content.fileName || content.fileUrl || content.fileUri ? content : null);
  if (isObject(file)) parts.push(fileOf(file));
  const spot = isObject(content.location) ? content.location : content;
  if (spot.latitude !== undefined && spot.longitude !== undefined) parts.push(place(spot));
  for (const [kind, value] of Object.entries(content)) {
    // Some accounts get a list of one.
    const part = Array.isArray(value) ? value[0] : value;
    if (kind.endsWith("_type") && isObject(part)) parts.push(...ofWhatsApp(part));
  }
  if (Array.isArray(content.items)) parts.push(...content.items.slice(0, MAX_PARTS).filter(isObject).flatMap((item) => inside(item, depth + 1)));
  const labels = buttons(content);
  if (labels.length) parts.push({ kind: "buttons", labels });
  return parts;
}

const title = ({ title, description }) => [title, description].filter(filled).join(": ") || undefined;

function ofWhatsApp(part) {
  const parts = [];
  const text = firstFilled(part.text, part.caption, part.emoji);
  if (text) parts.push({ kind: "text", text });
  if (part.mime_type !== undefined || filled(part.filename)) parts.push(fileOf({ fileName: part.filename, mimeType: part.mime_type }));
  if (part.latitude !== undefined && part.longitude !== undefined) parts.push(place(part));
  return parts;
}

const fileOf = (file) => ({
  kind: "file",
  name: firstFilled(file.fileName, file.fileUrl, file.fileUri) ?? "",
  type: firstFilled(file.mimeType) ?? "",
  bytes: count(file.fileSizeBytes),
});

const place = (spot) => ({ kind: "place", latitude: spot.latitude, longitude: spot.longitude, name: [spot.name, spot.address].filter(filled).join(", ") });

const buttons = ({ suggestions }) =>
  Array.isArray(suggestions) ? suggestions.filter(isObject).map((one) => firstFilled(one.title, one.text)).filter(Boolean).slice(0, MAX_BUTTONS) : [];

/** The first text of an event in one line: the text, the label of a tap, the file, or the place; null if there is none. */
export function textOf(event) {
  const part = partsOf(event).find(({ kind }) => kind !== "buttons");
  if (!part) return null;
  if (part.kind === "file") return `File ${part.name}`.trim() + (part.type ? ` (${part.type})` : "");
  if (part.kind === "place") return `Location ${part.latitude}, ${part.longitude}`;
  return part.text;
}

/** The address of a place on a map, with numbers only; null if they are no degrees of this earth. */
export function mapOf({ latitude, longitude }) {
  const [north, east] = [latitude, longitude].map((value) => (typeof value === "number" || filled(value) ? Number(value) : NaN));
  if (!(Math.abs(north) <= 90 && Math.abs(east) <= 180)) return null;
  return `https://www.openstreetmap.org/?mlat=${north.toFixed(6)}&mlon=${east.toFixed(6)}`;
}
