# SPDX-License-Identifier: GPL-2.0-or-later
# The tests, a part of the Makefile; `make help` lists them.

# Unit tests: one program a module, run one by one; all may use fake-* and support-*.
FAKES := $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/unit/fake-*.c tests/unit/support-*.c))
# What of kvik-slirp needs no libslirp.
FAKES += $(addprefix $(OBJ)/helpers/kvik-slirp/,area.o flow.o polls.o ring.o segment.o tcp.o)
# And what does, which the tests play themselves; its header has to be there.
FAKES += $(and $(SLIRP),$(addprefix $(OBJ)/helpers/kvik-slirp/,forward.o stack.o))
$(OBJ)/libfakes.a: $(FAKES)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
UNIT := $(patsubst tests/unit/%.c,$(OBJ)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT := $(filter-out $(if $(SLIRP),,%/test_slirp_stack),$(UNIT))
$(OBJ)/tests/%: $(OBJ)/tests/unit/%.o $(OBJ)/libfakes.a $(OBJ)/libkvik.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
unit: $(UNIT)
	$(Q)tests/run.sh $(UNIT)

# Applies a script of requests to a disk image.
DISK_IO := $(OBJ)/tests/disk-io
$(DISK_IO): $(OBJ)/tests/disk/disk-io.o $(OBJ)/libkvik.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

GUEST_BUILD ?= $(abspath $(O))/guest
RUN_ENV = KVIK=$(abspath $(BIN)) OBJ=$(abspath $(OBJ)) GUEST_BUILD=$(GUEST_BUILD)
CHECK_TESTS ?= $(sort $(wildcard tests/cli/*.t tests/guest/*.t))
check: $(PROGRAMS) $(UNIT)
	$(Q)$(RUN_ENV) tests/run.sh $(UNIT) $(CHECK_TESTS)
BOOT_TESTS ?= $(sort $(wildcard tests/boot/*.t))
# qcow2 images beside QEMU's tools.
check-qcow2: $(BIN) $(DISK_IO)
	$(Q)$(RUN_ENV) tests/run.sh $(sort $(wildcard tests/disk/*.t))
check-qcow2-soak: export TEST_TIMEOUT ?= 7200
check-qcow2-soak: $(BIN) $(DISK_IO)
	$(Q)$(RUN_ENV) tests/run.sh tests/disk/soak.sh
check-boot check-boot-soak check-distro check-nested: export TEST_TIMEOUT ?= 1800
check-boot: $(PROGRAMS)
	$(Q)$(RUN_ENV) tests/run.sh $(BOOT_TESTS)
check-boot-soak: $(PROGRAMS)
	$(Q)$(RUN_ENV) tests/run.sh tests/boot/soak.sh
# VMs that are killed at 200 moments of their start, and of their end; 100 at once.
check-life-soak: export TEST_TIMEOUT ?= 3600
check-life-soak: $(PROGRAMS)
	$(Q)$(RUN_ENV) KILLS=200 MANY_VMS=100 tests/run.sh tests/cli/150-many.t tests/cli/155-killed.t
check-distro: $(PROGRAMS) cross-riscv64
	$(Q)$(RUN_ENV) CROSS_BUILD=$(abspath $(O)) tests/run.sh tests/boot/distro.sh tests/boot/service.sh
# KVM, in emulated hosts of all three architectures.
NESTED_TESTS ?= $(sort $(wildcard tests/nested/*.t))
check-nested: cross
	$(Q)$(RUN_ENV) NESTED_BUILD=$(abspath $(O)) tests/run.sh $(NESTED_TESTS)

# The engine on hosts of other architectures, by QEMU's user mode.
check-cross: cross
	$(Q)$(RUN_ENV) CROSS_BUILD=$(abspath $(O)) tests/run.sh $(sort $(wildcard tests/cross/*.t))

# libFuzzer calls each of these with ever new inputs.
FUZZ_SECONDS ?= 300
FUZZ := $(patsubst tests/fuzz/%.c,$(OBJ)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
$(OBJ)/fuzz/%: $(OBJ)/tests/fuzz/%.o $(OBJ)/libfakes.a $(OBJ)/libkvik.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
fuzz:
	$(Q)$(MAKE) --no-print-directory CC=clang SAN=fuzzer fuzz-run
fuzz-run: $(FUZZ)
	$(Q)FUZZERS='$(FUZZ)' FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_WORK=$(OBJ)/found \
		TEST_TIMEOUT=$$(($(words $(FUZZ)) * ($(FUZZ_SECONDS) + 60))) tests/run.sh tests/fuzz/run.sh

bench: $(PROGRAMS)
	$(Q)$(RUN_ENV) tests/bench/run.sh $(BENCH_ARGS)
bench-nested: cross
	$(Q)NESTED_BUILD=$(abspath $(O)) tests/nested/bench/run.sh $(BENCH_ARGS)
lint:
	$(Q)CC='$(CC)' LINT_FLAGS='$(BASE_CFLAGS)' TEST_TIMEOUT=900 tests/run.sh tests/lint.sh
ci:
	.ci/run

.PHONY: unit check check-qcow2 check-qcow2-soak check-boot check-boot-soak check-life-soak check-distro \
	check-cross check-nested fuzz fuzz-run bench bench-nested lint ci
