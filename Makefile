# `make test` is all that a change has to pass; the other targets are parts of it.

.PHONY: help test fmt lint docs bench compare fuzz mutations soak churn rounds oracle real oracle-redis teeth publish minimal licences
.DEFAULT_GOAL := help

help: ## Says what there is.
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## Installs what is missing and runs every check: what CI runs.
	@ci/test.sh

fmt: ## Formats the code.
	cargo fmt --all

lint: ## Runs the linter over everything.
	cargo clippy --workspace --all-targets --all-features -- -D warnings

docs: ## Builds the documentation.
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features

bench: ## Measures the stores beside bare maps and the bare client, and prints tables.
	cargo bench --bench memory --bench redis

compare: ## Measures this cache beside its peers; building those takes minutes.
	cd benches/compare && cargo run --release

fuzz: ## Fuzzes every target for a minute.
	@FUZZ_SECONDS=60 ci/fuzz.sh

mutations: ## Takes each mechanism out, or those of ONLY="name ...", and demands that its tests fail: an hour.
	@ci/mutations.py $(ONLY)

soak: ## Runs mixed load for SOAK_MINUTES, 20 if not given, and demands that memory, connections and tasks stay flat.
	@cargo run -p soak --bin soak

churn: ## Shows what a server holds while regions come and go as fast as they can, and how soon after it is gone.
	@cargo run -q --release -p soak --bin churn

rounds: ## Runs the suites by TLS, sentinels and clusters ROUNDS times, 5 if not given, and stops at the first failure.
	@ci/rounds.sh

oracle: ## Looks for a wrong value in SEEDS simulated runs, from seed FROM on, on all cores.
	cargo run -q -p oracle --release -- $(or $(SEEDS),100000) $(or $(FROM),0)

real: ## Looks for a wrong value on real servers that are made to fail, for MINUTES, 10 if not given, from seed FROM on.
	cargo run -q -p oracle-real -- $(or $(MINUTES),10) $(or $(FROM),0)

oracle-redis: ## As oracle, of stores over simulated servers, which run the real scripts.
	cargo run -q -p oracle --release --bin oracle_redis -- $(or $(SEEDS),10000) $(or $(FROM),0)

teeth: ## Takes each mechanism out, or those of ONLY='"name" ...', and prints how many seeds the oracle needs to notice.
	@ci/teeth.py $(ONLY)

publish: ## Packs each package that is published, builds it from what was packed, and uploads nothing.
	@ci/publish.sh

minimal: ## Builds with the oldest version of each dependency that the packages say is enough.
	@ci/minimal.sh

licences: ## Refuses licences and sources that deny.toml does not name; needs cargo-deny.
	cargo deny check licenses bans sources
