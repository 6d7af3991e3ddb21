// What a failed call says besides its code and message: google.rpc.Status in the trailing metadata.
"use strict";

const grpc = require("@grpc/grpc-js");
const protobuf = require("protobufjs");

// The parts of google/rpc/status.proto and error_details.proto that CMVC sends.
const { root } = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; }
    repeated FieldViolation field_violations = 1;
  }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`, { keepCase: true });

function explain(error) {
  const found = { status: grpc.status[error.code], message: error.details };
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (!bytes) return found; // of a proxy, or of gRPC itself
  for (const { type_url, value } of root.lookupType("google.rpc.Status").decode(bytes).details) {
    const name = type_url.split("/").pop();
    const type = root.lookup(name, protobuf.Type);
    if (!type) continue; // of a kind that this program does not know
    const detail = type.toObject(type.decode(value), { longs: Number, defaults: true });
    if (name === "google.rpc.ErrorInfo") found.reason = detail.reason;
    if (name === "google.rpc.BadRequest") found.fields = detail.field_violations.map((violation) => violation.field);
    if (name === "google.rpc.RetryInfo") found.retry_after_s = detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9;
  }
  return found;
}

module.exports = { explain };
