# Everything a person or a machine does with a clone; needs Python 3.11 or newer and nothing else.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

.PHONY: venv
venv: $(VENV)/.installed  ## Make the virtual environment .venv and install into it

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Ganglion needs Python 3.11 or newer, and there is none on PATH." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No virtual environment could be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev,llm,wasm]' -c constraints.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]' -c constraints.txt
	@touch $@

PACKAGE ?= package# or package-portable: what `make release` builds with
export RELEASE_KEY
# Of its own: what is packed is what is installed there, each file of it with a checksum that is known beforehand.
PACKAGE_VENV := build/package-venv
LOCKED := --require-hashes --no-deps --no-build-isolation --only-binary :all: --no-binary nkeys
EXECUTABLE = $(shell ls -t dist/ganglion-*-linux-* 2>/dev/null | grep -vE '\.(sig|json|sha256|deb)$$' | head -1)

.PHONY: package-needs
package-needs:
	@test -n "$(PYTHON)" || { echo "Ganglion needs Python 3.11 or newer, and there is none on PATH." >&2; exit 1; }
	@"$(PYTHON)" packaging/needs.py

$(PACKAGE_VENV)/.installed: constraints-build.txt constraints-packed.txt
	"$(PYTHON)" -m venv --clear $(PACKAGE_VENV)
	$(PACKAGE_VENV)/bin/pip install --quiet --disable-pip-version-check $(LOCKED) -r constraints-build.txt
	$(PACKAGE_VENV)/bin/pip install --quiet --disable-pip-version-check $(LOCKED) -r constraints-packed.txt
	@touch $@

.PHONY: package
package: package-needs $(PACKAGE_VENV)/.installed  ## Build dist/ganglion-<version>-linux-<arch>, one executable
	$(PACKAGE_VENV)/bin/python packaging/build.py $(PACKAGE_FLAGS)

.PHONY: package-portable
package-portable:  ## Build it for systems with glibc 2.31 or newer, in a Debian 11 (needs root and debootstrap; an hour the first time)
	"$(PYTHON)" packaging/in_root.py --suite bullseye \
		--install "clang-16 libomp-16-dev libbz2-dev libffi-dev liblzma-dev libsqlite3-dev zlib1g-dev" -- sh -ec '\
		packaging/python.sh /opt/python /build/python; \
		[ "$$(uname -m)" = x86_64 ] || packaging/sqlite.sh /build/sqlite; \
		SQLITE_SOURCE=/build/sqlite CC=clang-16 CXX=clang++-16 make package PYTHON=/opt/python/bin/python3 PACKAGE_FLAGS="--glibc 2.31"'

.PHONY: lock
lock:  ## Write the checksums of what a release is made of, after a change of constraints.txt
	@test -x build/lock-venv/bin/uv || { "$(PYTHON)" -m venv build/lock-venv && \
		build/lock-venv/bin/pip install --quiet --disable-pip-version-check uv packaging -c constraints.txt; }
	@build/lock-venv/bin/python packaging/lock.py

.PHONY: release
release: release-key  ## Build it with its .deb, bill of materials, checksums and signatures; RELEASE_KEY=FILE or UNSIGNED=1
	@$(MAKE) --no-print-directory release-add
	@$(MAKE) --no-print-directory release-seal
	@$(MAKE) --no-print-directory release-check

.PHONY: release-add
release-add: $(PACKAGE) $(PACKAGE_VENV)/.installed
	$(PACKAGE_VENV)/bin/python packaging/release.py add $(EXECUTABLE)

.PHONY: release-seal
release-seal: release-key $(PACKAGE_VENV)/.installed
	$(PACKAGE_VENV)/bin/python packaging/release.py seal dist $(UNSIGNED:%=--unsigned)

.PHONY: release-check
release-check: $(PACKAGE_VENV)/.installed  ## Verify dist as somebody would who has fetched it
	$(PACKAGE_VENV)/bin/python packaging/release.py check dist \
		$(if $(UNSIGNED),--unsigned,$(addprefix --pub ,$(or $(RELEASE_PUB),$(addsuffix .pub,$(RELEASE_KEY)))))

.PHONY: release-key
release-key:
	@test -n "$(RELEASE_KEY)$(UNSIGNED)" || { echo "No key: RELEASE_KEY=FILE names it (python packaging/sign.py key FILE" \
		"makes one), UNSIGNED=1 goes without." >&2; exit 1; }
	@test -z "$(RELEASE_KEY)" || test -r "$(RELEASE_KEY)" || { echo "$(RELEASE_KEY) can't be read." >&2; exit 1; }

PACKAGE_PYTHON ?= $(abspath $(PACKAGE_VENV)/bin/python)

.PHONY: package-test-needs
package-test-needs:
	@test -n "$(EXECUTABLE)" || { echo "There is no executable in dist: make package, or EXECUTABLE=FILE." >&2; exit 1; }
	@"$(PACKAGE_PYTHON)" -c 'import zstandard' 2>/dev/null || { echo "PACKAGE_PYTHON=$(PACKAGE_PYTHON) is no Python with" \
		"zstandard, which packs other versions: make $(PACKAGE_VENV)/.installed, or name one that has it." >&2; exit 1; }
	@"$(PACKAGE_PYTHON)" packaging/needs.py launcher

.PHONY: package-test
package-test: package-test-needs $(VENV)/.installed  ## Try the executable in dist as a user would
	GANGLION_EXECUTABLE="$(abspath $(EXECUTABLE))" PACKAGE_PYTHON="$(PACKAGE_PYTHON)" \
		$(BIN)/pytest -q tests/packaging/test_*executable.py tests/packaging/test_launcher.py tests/packaging/test_inside.py \
			tests/packaging/test_licences.py tests/packaging/test_minimal_root_*.py tests/packaging/test_deb.py tests/packaging/test_release.py

.PHONY: demo
demo: $(VENV)/.installed  ## See it work: messages, kill -9, nothing lost, a local model that decides and acts (under a minute)
	@$(BIN)/ganglion demo

.PHONY: test
test: check  ## Run everything that CI runs
	$(BIN)/pytest -q -n logical --maxprocesses 4 --dist loadfile

.PHONY: check
check: $(VENV)/.installed  ## Lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_layers.py

.PHONY: format
format: $(VENV)/.installed  ## Bring the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(VENV)/.bench  ## Measure, side by side with others
	@for program in bench/[a-z]*.py; do echo "== $$program"; $(BIN)/python "$$program" || exit 1; done

.PHONY: chaos
chaos: $(VENV)/.installed  ## Kill an agent 500 times over 10,000 executions, a hub 50 times, and let a model talk 1,000 times; SEED=n plays one again (an hour)
	GANGLION_CHAOS_KILLS=$${KILLS:-500} GANGLION_CHAOS_EXECUTIONS=$${EXECUTIONS:-10000} GANGLION_CHAOS_SEED=$${SEED:-$$(date +%s)} \
		$(BIN)/pytest -q -s tests/faults/test_random_kills.py
	GANGLION_CHAOS_HUB_KILLS=$${HUB_KILLS:-50} GANGLION_CHAOS_FLAPS=$${FLAPS:-200} GANGLION_CHAOS_SEED=$${SEED:-$$(date +%s)} $(BIN)/pytest -q -s tests/faults/fleet
	GANGLION_CHAOS_GENERATIONS=$${GENERATIONS:-1000} $(BIN)/pytest -q tests/plugins/llm/test_always_valid.py

.PHONY: clean
clean:  ## Remove the virtual environment and everything made by tools
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
