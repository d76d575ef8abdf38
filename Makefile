# Everything a new clone needs. `make` alone lists the targets.
SHELL := /bin/bash
IMAGE ?= assets/images/chelsea.jpg
OVERLAY ?= out.png
PREFIX ?= $(HOME)/.local
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# One profile for everything: torch-sys takes minutes to compile in each.
PROFILE := --release

# A libtorch of your own wins over the one that we fetch; so does PyTorch's.
ifeq ($(LIBTORCH)$(LIBTORCH_USE_PYTORCH),)
libtorch_needed := libtorch
endif

.PHONY: ffmpeg lean wheel test-python test-python-all cargo-deny cargo-fuzz fuzz asan help run build light web test test-web examples check fmt clippy library wasm docs deny advisories libtorch libtorch-cuda models train-data install install-light uninstall \
	bench bench-peers bench-graphs bench-parent rev gpu-check-bundle gpu-check evaluation map-trials readme foreign-checkpoints check-checkpoints any-network any-onnx any-more any-keras odd-pictures
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 21

run: build ## Lay the attention over a photo: make run IMAGE=photo.jpg OVERLAY=out.png
	"$(TARGET)/release/cbam-run" "$(IMAGE)" --overlay "$(OVERLAY)"

build: $(libtorch_needed) ## Build the programs
	$(CARGO) build $(PROFILE) --bins

light: ## Build the light programs: one file, CPUs alone, without libtorch
	$(CARGO) build $(PROFILE) -p cbam-cli

test: $(libtorch_needed) models ffmpeg ## Run every test
	$(CARGO) test $(PROFILE)
	$(CARGO) test $(PROFILE) -p cbam-lite0 -p cbam-resample -p cbam-cli -p cbam-web # by themselves, and so without libtorch
	$(CARGO) test $(PROFILE) -p cbam-core --test '*'
	$(CARGO) test $(PROFILE) -p cbam-core --doc
	$(CARGO) test $(PROFILE) -p cbam-core --lib --config 'profile.release.package.cbam-core.opt-level = 0' # a minute instead of four

web: ## Build the live page, with the network as WebAssembly in it: target/web
	@CARGO="$(CARGO)" scripts/web.sh "$(TARGET)/web"

test-web: light web ## Types, style and tests of the interactive page, in headless Chromium
	@scripts/web-tools.sh
	cd tests/web && npm run --silent check && CARGO_TARGET_DIR="$(abspath $(TARGET))" npm test --silent

wheel: ## Build the Python wheel, for Linux with glibc 2.17 and later: target/wheels
	@scripts/python.sh wheel

test-python: ## Build the Python package and test it beside NumPy alone and beside PyTorch (TORCH=2.15.0: that one)
	@scripts/python.sh test -m "not long"

test-python-all: ## The same, with the tests that take minutes
	@scripts/python.sh test

examples: $(libtorch_needed) ## Run the examples
	@mkdir -p target/examples
	$(CARGO) run $(PROFILE) --example overlay_one_photo -- assets/images/coffee.jpg target/examples/coffee-overlay.png
	$(CARGO) run $(PROFILE) --example cbam_in_your_cnn
	$(CARGO) run $(PROFILE) --example sentence_attention -- target/examples/sentence.png
	$(CARGO) run $(PROFILE) --example cross_attention -- target/examples/cross.png
	$(CARGO) run $(PROFILE) --example graph_answers -- tests/golden/graph/small.pt2 tests/golden/graph/small.safetensors target/examples/answers.safetensors auto

check: fmt clippy library docs ## Format, lints, the library without the programs, and documentation, warnings as errors

fmt:
	$(CARGO) fmt --all --check

clippy: $(libtorch_needed)
	$(CARGO) clippy $(PROFILE) --workspace --all-targets -- -D warnings

library: $(libtorch_needed) lean
	$(CARGO) check $(PROFILE) --lib --no-default-features
	$(CARGO) check $(PROFILE) -p cbam-core

lean: # what no other build compiles so
	$(CARGO) check $(PROFILE) -p cbam-cli --no-default-features
	@for package in cbam-core cbam-cli; do \
		! $(CARGO) tree -q -p $$package -i tch 2>/dev/null | grep . || { echo "$$package has come to need tch" >&2; exit 1; }; \
	done

wasm: ## Build cbam-core for a browser (WebAssembly), with rustup's target or Debian's rustc-web
	@CARGO="$(CARGO)" scripts/wasm.sh
	@! $(CARGO) tree -q -p cbam-core --target wasm32-unknown-unknown -e features 2>/dev/null | grep 'relaxed-simd' || \
		{ echo "cbam-core has come to need relaxed SIMD on WebAssembly, which many browsers refuse" >&2; exit 1; }

docs: $(libtorch_needed)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PROFILE) --workspace --no-deps

cargo-deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked --version 0.20.2

deny: cargo-deny ## Licences, bans and sources of the dependencies (cargo-deny, installed if missing)
	$(CARGO) deny check bans licenses sources

advisories: cargo-deny ## Known vulnerabilities of the dependencies (needs the network)
	$(CARGO) deny check advisories

cargo-fuzz:
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked --version 0.13.2

fuzz: cargo-fuzz ## Fuzz every reader of bytes: make fuzz SECONDS=600 TARGETS="png jpeg"
	CARGO="$(CARGO)" python3 scripts/fuzz.py --seconds $(or $(SECONDS),60) $(TARGETS)

asan: ## The core's tests under AddressSanitizer: make asan TEST="--test kernels"
	CARGO="$(CARGO)" scripts/asan.sh $(or $(TEST),--lib --tests)

libtorch: ## Fetch the CPU part of libtorch 2.11.0 (once)
	@CARGO="$(CARGO)" scripts/libtorch.sh cpu

libtorch-cuda: ## Fetch the CUDA part too (3.3 GB)
	@CARGO="$(CARGO)" scripts/libtorch.sh cuda

ffmpeg:
	@scripts/ffmpeg.sh

models: ## Fetch the published weights of EfficientNet-Lite0, 1 and 2 into models/
	@scripts/models.sh

train-data: ## Fill data/ for cbam-train; DATA is the folder of the picture sets
	@scripts/train-data.sh

map-trials: .venv ## Try formulas for the maps of one pass on sets of masks; DATA is the folder of the picture sets
	.venv/bin/python scripts/map_trials.py --data "$(or $(DATA),../shared/data)/train" --work target/map-trials $(TRIALS)

readme: build light ## Make every picture of README again (Node 20 or later); with IMAGES and TRUTH the tables of docs/EVALUATION.md too
	@scripts/readme.sh "$(TARGET)/release/cbam-run"
	@[ -z "$(TRUTH)" ] || $(MAKE) evaluation IMAGES="$(IMAGES)" TRUTH="$(TRUTH)"

evaluation: build models ## Every table of docs/EVALUATION.md; IMAGES and TRUTH name the set, SUBSET the pictures for costly methods
	@scripts/evaluation.sh "$(IMAGES)" "$(TRUTH)" target/evaluation "$(TARGET)/release/cbam-eval"

foreign-checkpoints: .venv ## Checkpoints of other people's layouts, by their own code, for the ignored tests
	.venv/bin/python tests/golden/layouts/gen.py --write target/foreign

any-network: $(libtorch_needed) .venv ## Compare over 270 networks with PyTorch, by their graphs; resumable; NETWORKS="--only own torchvision/resnet18"
	$(CARGO) build --release --example graph_answers
	.venv/bin/python scripts/any_network.py --answers "$(TARGET)/release/examples/graph_answers" $(NETWORKS)

any-onnx: $(libtorch_needed) .venv ## The same by ONNX, over 110 networks at five operator sets
	$(CARGO) build --release --example graph_answers
	.venv/bin/python scripts/any_network.py --kind onnx --answers "$(TARGET)/release/examples/graph_answers" $(NETWORKS)

any-more: $(libtorch_needed) .venv/more ## The same of networks of transformers, segmentation-models-pytorch, ultralytics, MONAI and others
	$(CARGO) build --release --example graph_answers
	.venv/bin/python scripts/any_network.py --kind more --answers "$(TARGET)/release/examples/graph_answers" $(NETWORKS)

any-keras: $(libtorch_needed) .venv-keras ## The same of Keras's networks by tf2onnx
	$(CARGO) build --release --example graph_answers
	.venv-keras/bin/python scripts/keras_onnx.py --answers "$(TARGET)/release/examples/graph_answers" $(NETWORKS)

check-checkpoints: build .venv ## Compare over 130 checkpoints of other people's code with PyTorch, logits and gates; CHECK="--only cbam"
	.venv/bin/python scripts/check_checkpoints.py --bin "$(TARGET)/release" $(CHECK)

odd-pictures: build .venv ## Draw the odd pictures that Pillow and PngSuite ship, and compare with Pillow
	scripts/odd_pictures.sh target/odd-pictures
	.venv/bin/python scripts/odd_pictures.py target/odd-pictures --cbam-run "$(TARGET)/release/cbam-run" --list

bench: $(libtorch_needed) ## Time layers, networks and the way of a photo (criterion)
	$(CARGO) bench --bench attention --bench forward --bench pipeline

bench-peers: $(libtorch_needed) .venv ## Time everything against PyTorch, ONNX Runtime and others; BENCH="--quick" or "--only ROW"
	CARGO="$(CARGO)" .venv/bin/python benches/peers/bench.py $(BENCH)

bench-graphs: $(libtorch_needed) .venv ## Time ten networks by their graphs against PyTorch and ONNX Runtime; BENCH="--only resnet18"
	CARGO="$(CARGO)" .venv/bin/python benches/peers/graphs.py $(BENCH)

bench-parent: rev $(libtorch_needed) ## Time this revision by turns with an older one: make bench-parent REV=HEAD~1; BENCH="--quick" or "--only ROW"
	CARGO="$(CARGO)" python3 benches/peers/parent.py "$(REV)" $(BENCH)

rev:
	@[ -n "$(REV)" ] || { echo "which revision? make bench-parent REV=HEAD~1" >&2; exit 2; }

gpu-check-bundle: $(libtorch_needed) ## Pack programs and tests for a machine with a GPU: target/gpu-check.tar.xz
	CARGO="$(CARGO)" python3 scripts/gpu_check_bundle.py target/gpu-check.tar.xz

gpu-check: gpu-check-bundle ## Tests, maps and speed on this machine's GPU; python3 has PyTorch 2.11. GPU="--device cpu" tries the check itself
	scripts/gpu-check.sh target/gpu-check.tar.xz $(GPU)

.venv-keras: scripts/keras_requirements.txt
	rm -rf .venv-keras && python3 -m venv .venv-keras && .venv-keras/bin/python -m pip install -q -r scripts/keras_requirements.txt && touch .venv-keras

.venv/more: scripts/more_requirements.txt .venv
	.venv/bin/python -m pip install -q --no-deps -r scripts/more_requirements.txt && touch .venv/more

.venv: benches/peers/requirements.txt
	rm -rf .venv && python3 -m venv .venv && .venv/bin/python -m pip install -q -r benches/peers/requirements.txt && touch .venv

install: build ## Install the programs, their libraries, man pages and completions below PREFIX (~/.local)
	@scripts/install.sh "$(PREFIX)" "$(TARGET)/release"

install-light: light ## Install the light programs, one file, with man pages and completions below PREFIX (~/.local)
	@scripts/install.sh "$(PREFIX)" "$(TARGET)/release" light

uninstall: ## Take away what install put below PREFIX
	@scripts/uninstall.sh "$(PREFIX)"
