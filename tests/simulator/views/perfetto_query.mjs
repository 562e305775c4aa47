// Loads a trace into Perfetto's trace processor (WebAssembly) and prints the rows that SQL queries give, as JSON.
//
//   node perfetto_query.mjs FOLDER TRACE SQL [SQL ...]
//
// FOLDER holds engine_bundle.js and trace_processor*.wasm. Requests and replies are protobuf messages of
// protos/perfetto/trace_processor/trace_processor.proto; the few fields needed are written and read by hand.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [folder, trace, ...queries] = process.argv.slice(2);

// Wire types of protobuf: 0 varint, 1 eight bytes, 2 length and bytes.
function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}
const number = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field, value) => Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);

function readVarint(buffer, at) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = buffer[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [BigInt.asIntN(64, value), at];
  }
}

function* fields(buffer) {
  for (let at = 0; at < buffer.length; ) {
    let key, value;
    [key, at] = readVarint(buffer, at);
    const kind = Number(key) & 7;
    if (kind === 0) [value, at] = readVarint(buffer, at);
    else if (kind === 1) [value, at] = [buffer.subarray(at, at + 8), at + 8];
    else if (kind === 2) {
      let length;
      [length, at] = readVarint(buffer, at);
      value = buffer.subarray(at, at + Number(length));
      at += Number(length);
    } else throw new Error(`wire type ${kind}`);
    yield [Number(key) >> 3, value];
  }
}

function packedVarints(buffer) {
  const values = [];
  for (let at = 0, value; at < buffer.length; values.push(value)) [value, at] = readVarint(buffer, at);
  return values;
}

// CellsBatch: 1 kinds of cells (1 null, 2 integer, 3 double, 4 text), 2 integers, 3 doubles, 5 texts, each ended by \0.
function cells(batch) {
  let kinds = [], integers = [], doubles = Buffer.alloc(0), texts = [];
  for (const [field, value] of fields(batch)) {
    if (field === 1) kinds = packedVarints(value).map(Number);
    if (field === 2) integers = packedVarints(value).map(Number);
    if (field === 3) doubles = value;
    if (field === 5) texts = value.toString().split("\0");
  }
  let integer = 0, double = 0, text = 0;
  const take = { 1: () => null, 2: () => integers[integer++], 3: () => doubles.readDoubleLE(8 * double++), 4: () => texts[text++] };
  return kinds.map((kind) => take[kind]());
}

// QueryResult: 1 names of columns, 2 an error, 3 batches of cells, row by row.
function rows(results) {
  const names = [], all = [];
  for (const [field, value] of results.flatMap((result) => [...fields(result)])) {
    if (field === 1) names.push(value.toString());
    if (field === 2) throw new Error(value.toString());
    if (field === 3) all.push(...cells(value));
  }
  const table = [];
  for (let start = 0; start < all.length; start += names.length) table.push(all.slice(start, start + names.length));
  return table;
}

const replies = [];
const port = { postMessage: (reply) => replies.push(Buffer.from(reply)) };
const scope = { location: { href: "file:///" } };
class WorkerGlobalScope {}
class XMLHttpRequest {
  open(method, name) {
    this.response = readFileSync(join(folder, name.split("/").pop()));
  }
  send() {}
}
// The bundle is made for a web worker: it is shown a worker's globals, and not those of node.
const bundle = readFileSync(join(folder, "engine_bundle.js"), "utf8");
new Function("self", "process", "WorkerGlobalScope", "XMLHttpRequest", bundle)(scope, undefined, WorkerGlobalScope, XMLHttpRequest);
scope.onmessage({ data: port });

// TraceProcessorRpc: 1 sequence number, 2 method (1 append trace data, 2 end of data, 3 query), 101 and 103 its arguments.
let sequence = 0;
function request(method, ...args) {
  const message = Buffer.concat([number(1, ++sequence), number(2, method), ...args]);
  replies.length = 0;
  port.onmessage({ data: new Uint8Array(bytes(1, message)) });
  const answers = Buffer.concat(replies);
  return [...fields(answers)].flatMap(([, answer]) => [...fields(answer)]);
}

// The module is compiled at once; that it is ready is told in a promise.
await new Promise((resolve) => setTimeout(resolve));
const text = readFileSync(trace);
for (let start = 0; start < text.length; start += 1 << 24) request(1, bytes(101, text.subarray(start, start + (1 << 24))));
request(2);
const answers = queries.map((sql) =>
  rows(request(3, bytes(103, bytes(1, Buffer.from(sql)))).filter(([field]) => field === 203).map(([, result]) => result)),
);
console.log(JSON.stringify(answers));
