// Reads the compact encoding of telemetry (docs/telemetry.md) in a browser or Node, without dependencies.
//
//     import { decode, UNKNOWN } from "/telemetry.js";
//     const telemetry = await decode(new Uint8Array(await (await fetch(url)).arrayBuffer()));
//     const speed = telemetry.cars["1"].speed; // an Int32Array, a value each frame, UNKNOWN where nothing is known
//
// Frame k is at telemetry.startMs + k * telemetry.stepMs. Whatever bytes it is given, it answers with telemetry or
// throws BadTelemetry.

export const UNKNOWN = -(2 ** 31);
export const CHANNELS = [
  "x", "y", "z", "onTrack", "rpm", "speed", "gear", "throttle", "brake", "drs", "lap", "distance", "compound",
  "tyreAge", "gap",
];
const OF_SESSION = ["leader", "trackStatus", "weather"];
const MAX_VALUES = 2 ** 26;
const MAX_VALUE = 2 ** 30;
const MAX_SUM = 2 ** 33;
const MAX_HEADER = 2 ** 24;
const MAX_FRAMES = 1_000_000;
const MAX_ORDER = 3;
const CHANGES = 4;
const MAX_VARINT = 5;

export class BadTelemetry extends Error {
  constructor(message) {
    super(message);
    this.name = "BadTelemetry";
  }
}

/** Telemetry of a Uint8Array: the header's fields, `leader`, `trackStatus`, `weather`, and `cars[number][channel]`. */
export async function decode(bytes) {
  const { header, streams, start } = readHeader(bytes);
  const names = [...OF_SESSION, ...CHANNELS];
  if (header.frames * (OF_SESSION.length + CHANNELS.length * header.cars.length) > MAX_VALUES) {
    throw new BadTelemetry(`${header.frames} frames of ${header.cars.length} cars: more than ${MAX_VALUES} values`);
  }
  if (new Set(header.cars).size !== header.cars.length) throw new BadTelemetry("a car is in the header twice");
  if (streams.length !== names.length || streams.some((stream, index) => stream.name !== names[index])) {
    throw new BadTelemetry(`the streams are not ${names.join(", ")}`);
  }
  if (start + streams.reduce((sum, stream) => sum + stream.bytes, 0) !== bytes.length) {
    throw new BadTelemetry("the bytes end early, or go on after the last stream");
  }
  const read = {};
  let at = start;
  for (const stream of streams) {
    const count = OF_SESSION.includes(stream.name) ? 1 : header.cars.length;
    const packed = bytes.subarray(at, at + stream.bytes);
    read[stream.name] = await columns(stream, packed, count, header.frames);
    at += stream.bytes;
  }
  const pointed = { leader: header.cars, weather: header.weatherReports, compound: header.compounds };
  for (const [name, list] of Object.entries(pointed)) {
    for (const column of read[name]) {
      if (column.some((value) => value !== UNKNOWN && (value < 0 || value >= list.length))) {
        throw new BadTelemetry(`${name}: points to what the header does not have`);
      }
    }
  }
  const cars = {};
  header.cars.forEach((number, index) => {
    const channels = {};
    for (const name of CHANNELS) channels[name] = read[name][index];
    // Whatever it is called: a number such as "__proto__" is a key like any other.
    Object.defineProperty(cars, number, { value: channels, enumerable: true, configurable: true, writable: true });
  });
  return {
    ...header,
    numbers: header.cars,
    cars,
    leader: read.leader[0],
    trackStatus: read.trackStatus[0],
    weather: read.weather[0],
  };
}

const whole = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
const strings = (value) => Array.isArray(value) && value.every((item) => typeof item === "string");
const report = (value) =>
  isObject(value) && Object.values(value).every((item) => typeof item === "number");
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function readHeader(bytes) {
  if (!(bytes instanceof Uint8Array)) throw new BadTelemetry("it is no Uint8Array");
  if (bytes.length < 4 || [0x50, 0x57, 0x54, 1].some((byte, index) => bytes[index] !== byte)) {
    throw new BadTelemetry("no telemetry, or of another version: it does not begin with PWT and 1");
  }
  const size = bytes.length < 8 ? Infinity : new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (size > MAX_HEADER || 8 + size > bytes.length) throw new BadTelemetry("the header is longer than the bytes");
  let told;
  try {
    told = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, 8 + size)));
  } catch (error) {
    throw new BadTelemetry(`the header: ${error.message}`);
  }
  const checks = {
    session: (value) => typeof value === "string",
    race: (value) => typeof value === "boolean",
    startMs: (value) => whole(value, -(2 ** 53), 2 ** 53),
    stepMs: (value) => whole(value, 1, 2 ** 31),
    frames: (value) => whole(value, 0, MAX_FRAMES),
    lapLength: (value) => value === null || whole(value, 0, MAX_VALUE),
    cars: strings,
    compounds: strings,
    weatherReports: (value) => Array.isArray(value) && value.every(report),
    streams: (value) => Array.isArray(value) && value.every(isObject),
  };
  const header = {};
  for (const [name, check] of Object.entries(checks)) {
    if (!isObject(told) || !Object.hasOwn(told, name) || !check(told[name])) {
      throw new BadTelemetry(`the header: ${name} is not what it should be`);
    }
    header[name] = told[name];
  }
  const streams = header.streams.map(({ name, bytes: size, unit = 1 }) => {
    if (typeof name !== "string" || !whole(size, 0, Number.MAX_SAFE_INTEGER) || !whole(unit, 1, 1_000_000)) {
      throw new BadTelemetry("the header: a stream is not what it should be");
    }
    return { name, bytes: size, unit };
  });
  delete header.streams;
  return { header, streams, start: 8 + size };
}

async function columns({ name, unit }, packed, count, frames) {
  try {
    const raw = await inflated(packed, count * (MAX_VARINT * (2 * frames + 4) + 16));
    const reader = new Numbers(raw);
    const read = [];
    for (let index = 0; index < count; index += 1) {
      const size = reader.next(raw.length);
      const end = reader.at + size;
      if (size < 1 || end > raw.length) throw new BadTelemetry("a column is longer than its stream");
      read.push(column(reader, end, frames, unit));
    }
    if (reader.at !== raw.length) throw new BadTelemetry("there is more after the last column");
    return read;
  } catch (error) {
    throw error instanceof BadTelemetry ? new BadTelemetry(`${name}: ${error.message}`) : error;
  }
}

async function inflated(packed, most) {
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const pieces = [];
  let size = 0;
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      pieces.push(piece.value);
      size += piece.value.length;
      if (size > most) break;
    }
  } catch (error) {
    throw new BadTelemetry(`cannot be inflated: ${error.message}`);
  }
  if (size > most) {
    await reader.cancel();
    throw new BadTelemetry("cannot be inflated: it is too long");
  }
  const raw = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    raw.set(piece, at);
    at += piece.length;
  }
  return raw;
}

/** Varints, one after the other. Beyond 32 bits JavaScript's bit operators do not reach: hence the sums. */
class Numbers {
  constructor(raw) {
    this.raw = raw;
    this.at = 0;
  }

  next(end) {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < MAX_VARINT && this.at < end; index += 1) {
      const byte = this.raw[this.at];
      this.at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new BadTelemetry("a number does not end, or is longer than five bytes");
  }

  signed(end) {
    const value = this.next(end);
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

function column(reader, end, frames, unit) {
  const coding = reader.raw[reader.at];
  reader.at += 1;
  if (coding > CHANGES) throw new BadTelemetry(`there is no coding ${coding}`);
  const runs = [];
  let covered = 0;
  let told = 0;
  for (let left = reader.next(end); left > 0; left -= 1) {
    const run = reader.next(end);
    covered += run;
    if (covered > frames) break;
    if (runs.length % 2 === 0) told += run;
    runs.push(run);
  }
  if (covered !== frames) throw new BadTelemetry("the runs of a column are not as long as it");
  const values = coding === CHANGES ? changes(reader, end, told) : differences(reader, end, told, coding);
  if (reader.at !== end) throw new BadTelemetry("a column has more values than its runs say");
  const filled = new Int32Array(frames).fill(UNKNOWN);
  let at = 0;
  let next = 0;
  runs.forEach((run, index) => {
    if (index % 2 === 0) {
      for (let frame = at; frame < at + run; frame += 1) {
        filled[frame] = inRange(values[next] * unit);
        next += 1;
      }
    }
    at += run;
  });
  return filled;
}

function differences(reader, end, told, order) {
  const values = new Array(told);
  const sums = new Array(order).fill(0);
  for (let index = 0; index < told; index += 1) {
    let value = reader.signed(end);
    for (let level = 0; level < order; level += 1) {
      value += sums[level];
      if (Math.abs(value) > MAX_SUM) throw new BadTelemetry(`a sum is beyond ${MAX_SUM}`);
      sums[level] = value;
    }
    values[index] = inRange(value);
  }
  return values;
}

function changes(reader, end, told) {
  const count = reader.next(end);
  if (count > told || (count === 0) !== (told === 0)) throw new BadTelemetry("a column has not the changes it says");
  const since = [];
  for (let index = 0, at = 0; index < count; index += 1) {
    const step = reader.next(end);
    at += step;
    if ((index === 0) !== (step === 0) || at >= told) throw new BadTelemetry("the changes of a column are not in order");
    since.push(at);
  }
  const values = new Array(told);
  let value = 0;
  for (let index = 0; index < count; index += 1) {
    value = inRange(value + reader.signed(end));
    values.fill(value, since[index], index + 1 < count ? since[index + 1] : told);
  }
  return values;
}

function inRange(value) {
  if (Math.abs(value) > MAX_VALUE) throw new BadTelemetry(`a value is beyond ${MAX_VALUE}`);
  return value;
}
