"""Writes one framed gRPC chat request from an OpenAI JSON body: grpc-frame.py BODY.json OUT."""

import json
import pathlib
import struct
import sys
import tempfile

from grpc_tools import protoc

root = pathlib.Path(__file__).resolve().parent.parent
with tempfile.TemporaryDirectory() as stubs:
    includes = [f"-I{root}/proto", f"-I{root}/service/transcode/proto"]
    files = ["sabir/v1/chat.proto", "transcode/v1/options.proto", "google/api/annotations.proto", "google/api/http.proto",
             "buf/validate/validate.proto"]
    wkt = pathlib.Path(protoc.__file__).parent / "_proto"
    if protoc.main(["protoc", *includes, f"-I{wkt}", f"--python_out={stubs}", *files]):
        sys.exit("grpc-frame: the stubs could not be generated")
    sys.path.insert(0, stubs)
    from sabir.v1 import chat_pb2

    body = json.loads(pathlib.Path(sys.argv[1]).read_text())
    request = chat_pb2.CreateChatCompletionRequest(model=body["model"])
    for message in body["messages"]:
        role = chat_pb2.Role.Value("ROLE_" + message["role"].upper())
        request.messages.add(role=role, text=message["content"])
    for tool in body["tools"]:
        function = request.tools.add().function
        function.name = tool["function"]["name"]
        function.description = tool["function"]["description"]
        function.parameters = json.dumps(tool["function"]["parameters"])
    for name in ("temperature", "top_p", "max_tokens", "user"):
        setattr(request, name, body[name])
    wire = request.SerializeToString()
    pathlib.Path(sys.argv[2]).write_bytes(struct.pack(">BI", 0, len(wire)) + wire)
