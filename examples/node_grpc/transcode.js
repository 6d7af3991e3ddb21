// CMVC from Node over plain gRPC: encodes a video, decodes the stream, and says of an error what there is to know.
//
//     npm ci
//     node transcode.js HOST:PORT IN.mp4 OUT.cmvc BACK.mp4 [BIT/S]
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { pipeline } = require("node:stream/promises");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const { crc32c } = require("./crc32c");
const { explain } = require("./errors");

const PROTOS = path.join(__dirname, "..", "..", "proto");
const CHUNK_BYTES = 256 * 1024; // at most 1 MiB
const DEADLINE_MS = 10 * 60 * 1000;

const definition = loader.loadSync(["cmvc/v1/encoder.proto", "cmvc/v1/decoder.proto"], {
  includeDirs: [PROTOS],
  keepCase: true,
  longs: Number,
  enums: String,
  oneofs: true,
  arrays: true,
});
const { VideoEncoder, VideoDecoder } = grpc.loadPackageDefinition(definition).cmvc.v1;

// Sends the config, then the file in chunks; writes the chunks that come back; returns the summary. A file is sent only
// as fast as the server takes it, and the answer is read meanwhile.
async function transfer(call, config, source, destination) {
  let summary = null;
  async function* sent() {
    yield { config };
    for await (const data of fs.createReadStream(source, { highWaterMark: CHUNK_BYTES })) {
      yield { chunk: { data, crc32c: crc32c(data) } };
    }
  }
  async function* received(messages) {
    for await (const message of messages) {
      if (message.message === "data") {
        if (crc32c(message.data.data) !== message.data.crc32c) throw new Error("a chunk was damaged on its way");
        yield message.data.data;
      } else if (message.message === "summary") {
        summary = message.summary;
      }
    }
  }
  const part = `${destination}.part`;
  const sending = pipeline(sent, call).catch(() => {}); // a call that ends early says why where it is read
  try {
    await pipeline(call, received, fs.createWriteStream(part));
    await sending;
    fs.renameSync(part, destination);
  } finally {
    fs.rmSync(part, { force: true });
  }
  return summary;
}

async function main([target, video, stream, back, rate = "12000"]) {
  const credentials = grpc.credentials.createInsecure();
  const deadline = { deadline: Date.now() + DEADLINE_MS };
  const encoder = new VideoEncoder(target, credentials);
  const decoder = new VideoDecoder(target, credentials);
  try {
    const encoded = await transfer(encoder.Encode(deadline), { bits_per_second: Number(rate) }, video, stream);
    console.log(`encoded ${encoded.frames} frames in ${encoded.stream_bytes} bytes`);
    encoded.notes.forEach((note, index) => console.log(`${encoded.note_codes[index]} ${note}`));
    const decoded = await transfer(decoder.Decode(deadline), { format: "OUTPUT_FORMAT_FMP4" }, stream, back);
    console.log(`decoded ${decoded.frames} frames in ${decoded.segments} segments`);
  } catch (error) {
    if (error.code === undefined || !error.metadata) throw error;
    console.error(JSON.stringify(explain(error)));
    process.exitCode = 1;
  } finally {
    encoder.close();
    decoder.close();
  }
}

main(process.argv.slice(2));
