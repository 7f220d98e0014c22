# syntax=docker/dockerfile:1.7
# The image of Sabir.
#
#   docker build -t sabir .                       the server, under 60 MB
#   docker build -t sabir:models --target models .   with the local model, 98 MB more
#
# The result has no base: Debian's C library (4 MB), certificates and a user are copied out of the stage that built the program, so
# that there is neither shell nor package manager, and the libraries are those it was linked with. The program alone has 41 MB:
# distroless/cc would bring another 24, most of it locales and a C++ library that nobody asks for, Debian slim 75. A static program
# on musl would need no library, at the price of its allocator and resolver.
#
# Sabir handles SIGTERM as process 1 and leaves no children behind, so that there is no init beside it.

ARG RUST=docker.io/library/rust:1.95.0-trixie
ARG PYTHON=docker.io/library/python:3.13.9-slim-trixie

FROM ${RUST} AS build
WORKDIR /build

# First what says which dependencies there are, and nothing else: this layer is built anew when a manifest or the lock file
# changes, not when a source does.
COPY Cargo.toml Cargo.lock ./
COPY .cargo/config.toml .cargo/
COPY client/Cargo.toml client/
COPY examples/depends/Cargo.toml examples/depends/
COPY examples/hello/Cargo.toml examples/hello/
COPY examples/proxy/Cargo.toml examples/proxy/
COPY service/Cargo.toml service/
COPY service/depends/Cargo.toml service/depends/
COPY service/providers/Cargo.toml service/providers/
COPY service/store/Cargo.toml service/store/
COPY service/store/postgres/Cargo.toml service/store/postgres/
COPY service/store/sqlite/Cargo.toml service/store/sqlite/
COPY service/transcode/Cargo.toml service/transcode/
COPY service/transcode/protovalidate/Cargo.toml service/transcode/protovalidate/
COPY tests/backend/Cargo.toml tests/backend/
COPY scripts/protoc scripts/stub-sources scripts/
RUN scripts/stub-sources make && cargo build --release --locked -p sabir && scripts/stub-sources clean

# Then the sources of what the program is made of.
COPY build.rs ./
COPY proto proto
COPY client client
COPY service service
RUN cargo build --release --locked -p sabir

COPY deny.toml LICENSE ./
COPY scripts/sbom scripts/
RUN scripts/sbom sbom
COPY scripts/image-root scripts/
RUN scripts/image-root target/release/sabir root

FROM ${PYTHON} AS model
WORKDIR /build
COPY scripts/fetch-model scripts/
RUN scripts/fetch-model models

FROM scratch AS runtime
COPY --from=build /build/root /
# Where `sabir.db` and `sabir.toml` are looked for. All else of the image can be read-only.
COPY --from=build --chown=65532:65532 /build/root/data /data
COPY --from=build --chmod=0755 /build/target/release/sabir /usr/local/bin/sabir
COPY --from=build /build/sbom /usr/share/doc/sabir
WORKDIR /data
VOLUME /data
USER 65532:65532
# A container is called from outside, and there everybody has to say who they are.
ENV PATH=/usr/local/bin \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    SABIR_LISTEN=0.0.0.0:8080 \
    SABIR_AUTH__MODE=required
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["/usr/local/bin/sabir", "health"]
ENTRYPOINT ["/usr/local/bin/sabir"]
CMD ["serve"]

FROM runtime AS models
COPY --from=model --chmod=0444 /build/models/SmolLM2-135M-Instruct.Q4_1.gguf /models/
ENV SABIR_LOCAL__MODEL=/models/SmolLM2-135M-Instruct.Q4_1.gguf

# The last stage is what is built if none is named.
FROM runtime AS sabir
