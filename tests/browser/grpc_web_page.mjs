// What runs in the web page: the same calls with Google's client for gRPC-Web (as text and as bytes) and with Connect's.
// Messages are made from the descriptor set at run time, so no stub is generated. Each call comes back as plain data.

import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, MethodType } from "grpc-web";

const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
const read = async (url) => createFileRegistry(fromBinary(FileDescriptorSetSchema, await bytes(url)));
const registry = await read("contract.bin");
const errors = await read("errors.bin");
const server = new URLSearchParams(location.search).get("server");

const chat = registry.getService("sabir.v1.Chat");
const { createChatCompletion: unaryMethod, streamChatCompletion: streamMethod } = chat.method;
const status = errors.getMessage("google.rpc.Status");

const user = registry.getEnum("sabir.v1.Role").values.find(({ name }) => name === "ROLE_USER").number;
const request = (model, change) => ({
  model,
  messages: [{ role: user, content: { case: "text", value: "one two three" } }],
  ...change,
});

/** The details of an error, by the names of their types. */
const named = (details) => Object.fromEntries(details.map(({ type, value }) => [type, unpacked(type, value)]));

// Only fields that are plain can leave the page.
const unpacked = (type, value) => {
  const message = fromBinary(errors.getMessage(type), value);
  const violations = message.fieldViolations?.map(({ field, description }) => ({ field, description }));
  return { reason: message.reason, seconds: Number(message.retryDelay?.seconds ?? 0), violations };
};

const textOf = (message) => {
  const { content } = message.choices[0]?.message ?? message.choices[0]?.delta ?? {};
  return typeof content === "object" ? content.value : (content ?? "");
};

/** Google's client. */
function google(format) {
  const client = new GrpcWebClientBase({ format });
  const descriptor = ({ parent, name, input, output }, kind) =>
    new MethodDescriptor(
      `/${parent.typeName}/${name}`,
      kind,
      Object,
      Object,
      (message) => toBinary(input, create(input, message)),
      (wire) => fromBinary(output, wire),
    );
  const at = ({ parent, name }) => `${server}/${parent.typeName}/${name}`;
  const failure = ({ code, message, metadata }) => {
    const packed = metadata?.["grpc-status-details-bin"];
    const wire = packed && Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const details = wire ? fromBinary(status, wire).details : [];
    return { code, message, details: named(details.map(({ typeUrl, value }) => ({ type: typeUrl.split("/")[1], value }))) };
  };
  return {
    unary(message) {
      return new Promise((resolve) => {
        client.rpcCall(at(unaryMethod), message, {}, descriptor(unaryMethod, MethodType.UNARY), (error, answer) =>
          resolve(error ? { error: failure(error) } : { text: textOf(answer) }),
        );
      });
    },
    stream(message, leaveAfter) {
      return new Promise((resolve) => {
        const pieces = [];
        const kind = MethodType.SERVER_STREAMING;
        const call = client.serverStreaming(at(streamMethod), message, {}, descriptor(streamMethod, kind));
        call.on("data", (chunk) => {
          pieces.push({ at: performance.now(), text: textOf(chunk) });
          if (pieces.length === leaveAfter) {
            call.cancel();
            resolve({ pieces });
          }
        });
        call.on("error", (error) => resolve({ pieces, error: failure(error) }));
        call.on("end", () => resolve({ pieces, ended: true }));
      });
    },
  };
}

/** Connect's client. */
function connect() {
  const client = createClient(chat, createGrpcWebTransport({ baseUrl: server }));
  const failure = (thrown) => {
    const { code, rawMessage, details } = ConnectError.from(thrown);
    return { code, message: rawMessage, details: named(details) };
  };
  return {
    async unary(message) {
      try {
        return { text: textOf(await client.createChatCompletion(message)) };
      } catch (error) {
        return { error: failure(error) };
      }
    },
    async stream(message, leaveAfter) {
      const pieces = [];
      const abort = new AbortController();
      try {
        for await (const chunk of client.streamChatCompletion(message, { signal: abort.signal })) {
          pieces.push({ at: performance.now(), text: textOf(chunk) });
          if (pieces.length === leaveAfter) {
            abort.abort();
            return { pieces };
          }
        }
        return { pieces, ended: true };
      } catch (error) {
        return { pieces, error: failure(error) };
      }
    },
  };
}

const clients = { "grpc-web-text": google("text"), "grpc-web": google("binary"), "connect-web": connect() };

globalThis.unary = (client, model, change) => clients[client].unary(request(model, change));
globalThis.stream = (client, model, leaveAfter) => clients[client].stream(request(model), leaveAfter);
globalThis.ready = true;
