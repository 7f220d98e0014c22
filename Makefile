# Two commands are enough: `make run` and `make test`. Each installs what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CARGO ?= cargo
MODEL := models/SmolLM2-135M-Instruct.Q4_1.gguf
EMBEDDER := models/all-MiniLM-L6-v2
VENV := target/clients/python

.PHONY: help
help: ## What can be made here
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(MODEL) ## Build, fetch the local model once, and serve on 127.0.0.1:8080
	$(CARGO) build --release --locked -p sabir
	SABIR_LOCAL__MODEL=$${SABIR_LOCAL__MODEL:-$(MODEL)} target/release/sabir serve

$(MODEL):
	scripts/fetch-model

.PHONY: embedder
embedder: $(EMBEDDER) ## Fetch the local model for embeddings, which `make run` then serves too

$(EMBEDDER):
	scripts/fetch-embedder

.PHONY: test
test: $(MODEL) $(EMBEDDER) clients ## Every test: units, the real server over every protocol, real clients, the real model
	$(CARGO) build --locked -p sabir -p hello
	CANDLE_NUM_THREADS=1 $(CARGO) test --locked --workspace --no-fail-fast

.PHONY: clients
clients: ## Install the client libraries and tools that the tests use
	scripts/install-clients
	scripts/install-interop
	scripts/install-conformance
	scripts/install-browser
	scripts/install-openapi-tools
	scripts/install-helm-tools
	scripts/install-issuer
	scripts/postgres install

.PHONY: check
check: fmt clippy deny proto ## What must be clean besides the tests

.PHONY: fmt
fmt:
	@if $(CARGO) fmt --version >/dev/null 2>&1; then $(CARGO) fmt --all -- --check; \
	else echo "make check: rustfmt is not on this machine; formatting was not checked"; fi

.PHONY: clippy
clippy:
	@if $(CARGO) clippy --version >/dev/null 2>&1; then $(CARGO) clippy --locked --workspace --all-targets -- -D warnings; \
	else echo "make check: clippy is not on this machine; lints were not checked"; fi

.PHONY: deny
deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check bans licenses sources; \
	else echo "make check: cargo-deny is not on this machine; licences and bans were not checked"; fi

.PHONY: proto
proto: clients
	$(VENV)/bin/buf lint

.PHONY: bench
bench: ## Criterion on converter, validation and routes, then the comparisons with others
	$(CARGO) bench --locked --bench converter
	$(CARGO) bench --locked --bench validation
	$(CARGO) bench --locked -p transcode --bench matcher
	scripts/bench-transcoder
	scripts/bench-end-to-end
	scripts/bench-runtimes
	scripts/bench-production

.PHONY: soak
soak: clients ## Two replicas under load while everything breaks, for SOAK_SECONDS (1200); ends with an account
	scripts/soak

.PHONY: image
image: ## Carry out the steps of the Dockerfile without a container engine, and run what comes of them
	scripts/check-image build

.PHONY: release
release: ## The program, its bill of materials, its licences and the chart, with checksums, in target/dist
	$(CARGO) build --release --locked -p sabir
	rm -rf target/dist
	scripts/sbom target/dist
	install -m 755 target/release/sabir target/dist
	scripts/install-helm-tools
	target/clients/helm/python/bin/python -c 'import helm_python; helm_python.package("helm", destination="target/dist")'
	cd target/dist && sha256sum * >SHA256SUMS

.PHONY: clean
clean: ## Remove what was built; the model stays
	$(CARGO) clean
