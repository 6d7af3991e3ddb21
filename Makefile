# The front door of CMVC. `make` alone lists what there is.
# Needs only make and python3 >= 3.11; everything else goes into .venv. pip is used as you have configured it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
PROJECTS := pyproject.toml cmvc/__init__.py $(wildcard services/*/pyproject.toml) $(wildcard services/*/setup.py)
WHEELS := . services/encoder services/decoder services/gateway services/web
PROTOS := $(sort $(wildcard proto/cmvc/v1/*.proto))
# What clients in the world were generated from: the protos of the last release, as buf keeps them.
RELEASED := $(lastword $(shell ls proto/released | sort -V))
# compat: a plain path file, which type-checkers can follow.
SERVICES := -e services/encoder -e services/decoder -e services/gateway -e services/web
# With torch and what belongs to it: several GB where the package index has no CPU build of the pinned torch.
MODELS := -e 'services/decoder[diffusion,training,triton]' -e 'services/encoder[transformers,openai]'
INSTALL := $(PIP) install --no-compile -c constraints.txt
EDITABLE := $(INSTALL) --no-build-isolation --config-settings editable_mode=compat
CODE := cmvc services examples benchmarks
# Tests in groups (tests/conftest.py), two at once: much of their time is waiting for servers.
SIDE_BY_SIDE := -n 2 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help setup demo triton first-day test test-faults test-all test-ops test-web audit sbom pin-images images-check lint style types format proto proto-check release vectors options prometheus-rule errors api model-repository bench bench-speed bench-rd bench-scale bench-studio load bench-gpu fuzz fuzz-table fuzz-coverage clean

help: ## List the targets
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# --- set-up: each stamp stands for a finished step, so that a second run starts at once ---------------------------

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: python3 3.11 or newer is needed; set PYTHON=/path/to/python3.11, or on Debian: apt install python3.11-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "error: this python3 has no venv; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "setup: creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created constraints.txt $(PROJECTS)
	@echo "setup: installing CMVC and what it runs on"
	@$(INSTALL) setuptools
	@$(EDITABLE) -e '.[cli,demo]' $(SERVICES)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "setup: installing the tools for tests and checks"
	@$(EDITABLE) -e '.[cli,demo,dev]' $(SERVICES) $(MODELS)
	@touch $@

# Without it the test of the Node example is skipped, which says so.
$(VENV)/.node: $(VENV)/.dev examples/node_grpc/package-lock.json
	@echo "setup: fetching what the Node example needs"
	@$(BIN)/python -m examples.node_grpc.fetch && touch $@ || echo "setup: npm got nothing; the Node example stays untested" >&2

$(VENV)/.bench: $(VENV)/.runtime
	@echo "setup: installing the tools for benchmarks"
	@$(EDITABLE) -e '.[cli,demo,bench]' $(SERVICES) $(MODELS)
	@touch $@

$(VENV)/.ops: $(VENV)/.dev $(VENV)/.bench tests/ops/requirements.txt
	@echo "setup: installing the tools for checks of deployments"
	@$(INSTALL) -r tests/ops/requirements.txt
	@touch $@

setup: $(VENV)/.runtime ## Create .venv with the cmvc command in it
	@echo "setup: done; the command is $(BIN)/cmvc"

# --- what people come for -----------------------------------------------------------------------------------------

demo: $(VENV)/.runtime ## Send a video through every mode: make demo [VIDEO=my.mp4]; see demo/
	@$(BIN)/python -m examples.demo $(if $(VIDEO),--video '$(VIDEO)') --out demo

triton: $(VENV)/.dev ## Unpack a real Triton server into .triton, for tests and trials on a CPU
	@$(BIN)/python -m cmvc_decoder.triton.prepare .triton
	@echo "triton: .triton holds one; try: $(BIN)/cmvc triton --server .triton --profile wan-vace-1.3b"

first-day: $(VENV)/.dev triton ## Run docs/first-day.md on a toy model, as far as a machine without a GPU can
	@$(BIN)/python -m tests.first_day

test: $(VENV)/.dev $(VENV)/.node triton ## Run the tests that take seconds
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow and not faults' --ignore tests/ops --ignore tests/browser

# Coverage-guided, by atheris, which has wheels for CPython 3.11 to 3.13.
$(VENV)/.fuzz: $(VENV)/.dev
	@echo "setup: installing atheris"
	@$(INSTALL) atheris coverage
	@touch $@

TARGET := stream
SECONDS := 600
RUNS := -1
HOW := led
fuzz: $(VENV)/.fuzz ## Look for what hostile bytes do: make fuzz TARGET=stream|payload|text|motion|segment|media|answers SECONDS=600 [RUNS=1000000 HOW=led|unled]
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(TARGET) $(SECONDS) $(RUNS) $(HOW)

fuzz-table: $(VENV)/.fuzz ## Write what was fuzzed so far to benchmarks/results/fuzz.md
	@PYTHONPATH=tests $(BIN)/python -m fuzz.table

test-faults: $(VENV)/.dev ## Break fleets in ways that take minutes to be noticed; at most a quarter of an hour
	@timeout 900 $(BIN)/python -m pytest -m faults tests/faults

test-all: $(VENV)/.dev $(VENV)/.node triton ## Run every test but those of test-ops and test-web
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore tests/ops --ignore tests/browser

# Debian's programs. Prometheus is only unpacked, so that nothing of it runs as a service afterwards.
.prometheus/.unpacked:
	@command -v apt-get >/dev/null || \
	  { echo "error: test-ops takes Prometheus and podman from Debian's packages; run it on Debian" >&2; exit 1; }
	@echo "test-ops: unpacking Prometheus"
	@rm -rf .prometheus && mkdir .prometheus
	@cd .prometheus && { apt-get -qq download prometheus 2>/dev/null || \
	  { apt-get -qq update && apt-get -qq download prometheus; } } && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
	@touch $@

# kubectl is taken as it is there: Debian's may be too old, and the tests that need it say so.
test-ops: $(VENV)/.ops .prometheus/.unpacked ## Check how CMVC is deployed and watched: make test-ops [PICTURE=dashboard.png]
	@command -v podman >/dev/null || { echo "test-ops: installing podman" && \
	  apt-get -qq update && apt-get -qq install -y --no-install-recommends podman >/dev/null; }
	@CMVC_DASHBOARD_PICTURE='$(PICTURE)' $(BIN)/python -m pytest tests/ops --ignore tests/ops/test_images.py

# Debian's Chromium; axe-core, the accessibility checker, from npm. Where they cannot be had this says so and is content.
test-web: $(VENV)/.dev tests/browser/requirements.txt ## Use the studio in a real Chromium, as a user would
	@command -v chromium >/dev/null || { echo "test-web: installing Chromium" && \
	  { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null; } 2>/dev/null; } || true
	@test -e build/axe/node_modules/axe-core/axe.min.js || \
	  npm install --silent --no-audit --no-fund --prefix build/axe axe-core@4.14.1 >/dev/null 2>&1 || \
	  echo "test-web: no axe-core (npm fetches it): accessibility is not checked"
	@if command -v chromium >/dev/null && $(INSTALL) -r tests/browser/requirements.txt; \
	  then $(BIN)/python -m pytest tests/browser; \
	  else echo "test-web: skipped: no Chromium (apt-get install chromium), or no Playwright"; fi

audit: $(VENV)/.ops ## Look every pin up in the advisory database; fails where that cannot be reached
	@$(BIN)/python tests/ops/audit.py

IMAGES := $(patsubst docker/%.Dockerfile,%,$(wildcard docker/*.Dockerfile))
sbom: $(VENV)/.ops ## Say what each image is made of, as SPDX, in build/sbom
	@mkdir -p build/sbom
	@for image in $(IMAGES); do $(BIN)/python docker/sbom.py $$image build/sbom/$$image.spdx.json || exit 1; done
	@echo "sbom: build/sbom has $(IMAGES)"

pin-images: ## Say the images of others by digest, as a release names them; asks their registries, by docker buildx
	@sed -nE '/cmvc\//d; s/^(ARG BASE_IMAGE=| *image: )([^ ]+:[^ ]+)$$/\2/p' docker/*.Dockerfile docker-compose.yml | sort -u \
	  | while read -r image; do digest=$$(docker buildx imagetools inspect "$$image" --format '{{.Manifest.Digest}}') \
	  || { echo "error: no digest of $$image; is its registry reached?" >&2; exit 1; }; echo "$$image@$$digest"; done

images-check: $(VENV)/.ops ## Build the images with buildah and send a video through them; as root, on Debian
	@command -v buildah >/dev/null && command -v debootstrap >/dev/null || { echo "images-check: installing buildah and debootstrap" && \
	  apt-get -qq update && apt-get -qq install -y --no-install-recommends buildah crun debootstrap >/dev/null; }
	@$(BIN)/python -m pytest -s tests/ops/test_images.py

bench: bench-speed ## Measure speed, then rate and quality on a few clips
	@$(MAKE) --no-print-directory bench-rd QUICK=1

bench-speed: $(VENV)/.bench ## Measure speed, latency and what the gateway costs
	@$(BIN)/python -m benchmarks.speed

bench-rd: $(VENV)/.bench ## Measure rate and quality beside conventional codecs, for hours: make bench-rd [QUICK=1]
	@$(BIN)/python -m benchmarks.rd --readme $(if $(QUICK),--quick --name rd-quick)

bench-scale: $(VENV)/.bench ## Measure what more decoders bring and what the gateway itself costs
	@$(BIN)/python -m benchmarks.scaling
	@$(BIN)/python -m benchmarks.gateway_cost

bench-studio: $(VENV)/.bench ## Measure how soon the studio's page shows something, and twenty viewers at once; needs Chromium
	@$(INSTALL) -r tests/browser/requirements.txt
	@$(BIN)/python -m benchmarks.studio

load: $(VENV)/.bench ## Give a small fleet far more work than it has room for, for minutes: make load [VIDEO=my.mp4]
	@$(BIN)/python -m benchmarks.load $(if $(VIDEO),--video '$(VIDEO)')

bench-gpu: $(VENV)/.bench ## Measure the generator profiles on a GPU beside the stock pipelines
	@$(BIN)/python -m benchmarks.gpu

# --- checks -------------------------------------------------------------------------------------------------------

lint: proto-check style types ## Check style, types, the contract and its stubs

style: $(VENV)/.dev
	@echo "lint: ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }

types: $(VENV)/.dev
	@echo "lint: mypy"
	@$(BIN)/mypy --no-error-summary $(CODE)
	@echo "lint: pyright, on an application of the SDK"
	@$(BIN)/basedpyright --pythonpath $(BIN)/python --level error

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --fix --quiet .; $(BIN)/ruff format .

# Writes the stubs below the folder $(1). The bitstream, the common messages and the errors define no service.
define generate
PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iproto \
  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS:proto/%=%) \
  && rm -f $(1)/cmvc/v1/bitstream_pb2_grpc.py* $(1)/cmvc/v1/common_pb2_grpc.py* $(1)/cmvc/v1/errors_pb2_grpc.py*
endef

proto: $(VENV)/.dev ## Generate the stubs in cmvc/v1 from proto/
	@$(call generate,.)
	@echo "proto: cmvc/v1 written"

proto-check: $(VENV)/.dev
	@echo "lint: buf"
	@cd proto && ../$(BIN)/buf lint
	@echo "lint: the contract against release $(RELEASED:.binpb=)"
	@cd proto && ../$(BIN)/buf breaking --against released/$(RELEASED)
	@echo "lint: generated stubs"
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(call generate,"$$scratch") \
	  && diff -r --exclude=__init__.py --exclude=__pycache__ cmvc/v1 "$$scratch/cmvc/v1" \
	  || { echo "error: cmvc/v1 differs from proto/; run: make proto" >&2; exit 1; }

# Wheels alone, since a source distribution of a service would lack the SDK's version. What was built before may be stale.
release: $(VENV)/.dev ## Build the wheels of the SDK and the services into dist/, and keep the protos as this release has them
	@rm -rf dist build/lib build/bdist.* services/*/build
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist $(WHEELS:%=./%)
	@rm -rf build/lib build/bdist.* services/*/build
	@cd proto && version=$$(../$(BIN)/python -c 'import cmvc; print(cmvc.__version__)') \
	  && { test -e "released/$$version.binpb" || ../$(BIN)/buf build --exclude-source-info -o "released/$$version.binpb"; }
	@echo "release: $$(ls dist | tr '\n' ' ')"

options: $(VENV)/.dev ## Write docs/options.md anew
	@$(BIN)/python -m cmvc.cli.reference > docs/options.md

api: $(VENV)/.dev ## Write docs/api anew
	@$(BIN)/python -m cmvc.cli.api_reference > docs/api/README.md

errors: $(VENV)/.dev ## Write docs/errors.md anew
	@$(BIN)/python -m cmvc.cli.error_reference > docs/errors.md

prometheus-rule: $(VENV)/.ops ## Write the Prometheus operator's rules from deploy/monitoring/rules
	@$(BIN)/python tests/ops/prometheus_rule.py

model-repository: $(VENV)/.dev ## Write services/decoder/model_repository from the profiles' facts
	@$(BIN)/python -m cmvc_decoder.triton.repository services/decoder/model_repository
	@echo "model-repository: written"

vectors: $(VENV)/.dev ## Write the golden vectors in tests/vectors anew
	@$(BIN)/python -m tests.vectors.make

clean: ## Remove what make has made
	rm -rf $(VENV) .triton .prometheus demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf examples/node_grpc/node_modules *.egg-info services/*/*.egg-info services/*/build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
