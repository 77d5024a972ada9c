# One command each; `make help` lists them. Everything is built below target/ and dist/.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo --locked
COMMAND := target/release/pay88
# The benchmark is a workspace of its own. In the same target directory less is compiled twice.
BENCH := --manifest-path bench/Cargo.toml --target-dir $${CARGO_TARGET_DIR:-target}

.PHONY: help setup build demo test test-php-zts test-php-chroot check header dist install simulate bench clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

setup: ## install what is missing of the tools (as root), or name it
	@tests/setup.sh

build: ## build the library, the command, the Python, Node and Go packages, and the PHP extension
	python/build.sh
	node/build.sh
	php/build.sh
	go/build.sh
	bindings/c/link.sh target/release
	tests/examples.sh

demo: setup build ## make a charge from every language at a sandbox, and show that together they need one token
	@$(COMMAND) sandbox --exec -- tests/demo.sh

test: setup build ## run everything that proves the promises; SUITES="c php" runs these alone
	$(CARGO) test --workspace --features pay88/test-hooks --no-run
	tests/run.sh $(SUITES)

test-php-zts: setup build ## build a thread-safe PHP once, and test the extension with it
	@mkdir -p target/logs
	php/zts.sh 2>&1 | tee target/logs/php_zts

test-php-chroot: setup build ## test the extension with PHP 8.4, in a chroot of Debian trixie that is made once
	@mkdir -p target/logs
	php/chroot.sh 2>&1 | tee target/logs/php_chroot

check: setup ## formatters, linters, the walls of the core, the files that documents name, and features that must stay off
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path bench/Cargo.toml
	tests/walls.py
	tests/named_files.py
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p pay88 -p pay88-c --all-targets --features test-hooks -- -D warnings
	$(CARGO) clippy -p pay88 --all-targets --features test-hooks,reqwest -- -D warnings
	$(CARGO) clippy $(BENCH) --all-targets -- -D warnings
	$(CARGO) test -q $(BENCH)
	@# An adapter of Rust programs alone.
	! $(CARGO) tree -p pay88-c -e normal | grep reqwest
	@# Process-global state that a fork breaks.
	! $(CARGO) tree -p pay88-c -e features,normal -i tokio | grep -E 'tokio feature "(signal|process|full)"'
	@# What may be in the library, and in what builds and tests it.
	packaging/test_deny.py
	packaging/deny.py

header: ## make include/pay88.h anew
	$(CARGO) run -q -p pay88-header

dist: setup build ## put the C archive, the command, the wheel, the sdist, the npm tarball, the PHP archive and the Go modules into dist/, and show that they work
	./dist.sh

install: ## install library, header, .pc, CMake files and the command below PREFIX
	$(CARGO) build --release -p pay88-c -p pay88-cli
	DESTDIR="$(DESTDIR)" bindings/c/install.sh target/release "$(PREFIX)"
	install -Dm755 $(COMMAND) "$(DESTDIR)$(PREFIX)/bin/pay88"

simulate: ## let fleets of up to 1,000 hosts run for three hours under a virtual clock (docs/fleet.md)
	$(CARGO) test --release -p pay88 --lib -- --ignored --nocapture --test-threads=1 simulation::

bench: setup build ## measure against peers (bench/README.md)
	bench/run.sh --results bench/results

clean: ## remove what was built
	$(CARGO) clean
	rm -rf dist
