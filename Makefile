# SPDX-License-Identifier: GPL-2.0-or-later
# Builds kvik; `make help` lists the targets and the variables.

O ?= build
SAN ?=
PKG_CONFIG ?= $(CROSS_COMPILE)pkg-config
prefix ?= /usr/local
bindir ?= $(prefix)/bin
libexecdir ?= $(prefix)/libexec
mandir ?= $(prefix)/share/man
datadir ?= $(prefix)/share
systemdunitdir ?= $(prefix)/lib/systemd/system

ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
else ifneq ($(CROSS_COMPILE),)
CC := $(CC) $(if $(findstring clang,$(CC)),--target=$(CROSS_COMPILE:%-=%))
endif
ifeq ($(origin AR),default)
AR := $(CROSS_COMPILE)ar
endif

# A sanitizer's build, and one with O=DIR, lies beside the plain one: only that
# leaves ./kvik. SAN=fuzzer instruments for libFuzzer (`make fuzz` uses it).
OBJ := $(O)/obj$(addprefix -,$(SAN))
OUT := $(if $(SAN)$(filter-out build,$(O)),$(OBJ)/)
BIN := $(OUT)kvik
Q := $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),:,echo "  $(1)	$(2)")

# --- flags ---

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wundef -Wwrite-strings -Wvla -Wno-unused-parameter \
	-Wno-missing-field-initializers
BASE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -iquote include -pthread -fno-strict-aliasing $(WARN)
OPT ?= -O2 -g
# Only some kernels are packed by these: where a header is missing, kvik does without, and
# says so when it meets such a kernel.
have = $(shell printf '\043include <$(1)>' | $(CC) $(CPPFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)
LZMA := $(call have,lzma.h)
LZ4 := $(call have,lz4.h)
LZO := $(call have,lzo/lzo1x.h)
BASE_CFLAGS += $(LZMA:yes=-DHAVE_LZMA) $(LZ4:yes=-DHAVE_LZ4) $(LZO:yes=-DHAVE_LZO)
URING := $(shell $(PKG_CONFIG) --exists 'liburing >= 2.3' 2>/dev/null && echo yes)
BASE_CFLAGS += $(URING:yes=-DHAVE_URING)
LIBS := $(URING:yes=-luring) $(LZMA:yes=-llzma) $(LZ4:yes=-llz4) $(LZO:yes=-llzo2) -lfdt -laio -ljansson $(or $(shell $(PKG_CONFIG) --libs zlib libzstd 2>/dev/null),-lz -lzstd) -lm

TARGET := $(shell $(CC) -dumpmachine)
comma := ,
# Packed relocations: a tenth of the size. The other linkers do not know them.
LINK := -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack$(if $(filter x86_64%,$(TARGET)),$(comma)-z$(comma)pack-relative-relocs)
ifneq ($(SAN),)
SAN_KINDS := $(SAN:fuzzer=address$(comma)undefined)
SAN_FLAGS := -fsanitize=$(SAN_KINDS) $(if $(filter fuzzer,$(SAN)),-fsanitize=fuzzer-no-link) \
	-fno-sanitize-recover=all -fno-omit-frame-pointer
LINK += -fsanitize=$(SAN_KINDS)
else
HARDEN := -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 \
	$(if $(filter x86_64%,$(TARGET)),-fcf-protection) \
	$(if $(filter aarch64%,$(TARGET)),-mbranch-protection=standard)
endif

# The engine: tail calls, exact floating point (never -fno-trapping-math), and no
# check in front of each instruction's handler. What a guest's harts do to the
# guest's memory is the guest's race, so TSan does not look at the handlers.
SOFT := -O2 -fno-stack-protector -foptimize-sibling-calls -frounding-math -ffp-contract=off \
	-fno-math-errno $(if $(HARDEN),-fno-stack-clash-protection \
	$(if $(filter x86_64%,$(TARGET)),-fcf-protection=none))
$(OBJ)/riscv/soft/%.o: PART = $(SOFT)
ifeq ($(SAN),thread)
$(OBJ)/riscv/soft/exec%.o: PART = $(SOFT) -fno-sanitize=thread
endif

COMPILE = $(CC) $(BASE_CFLAGS) -fPIE $(OPT) $(HARDEN) $(SAN_FLAGS) $(PART) $(CPPFLAGS) $(CFLAGS)

# --- program ---

# Every machine is compiled everywhere, for its tests; the linker leaves out what vm.c
# does not name. KVM's half of one needs its own architecture's headers.
KVM_ARCH := $(or $(if $(filter x86_64%,$(TARGET)),x86),$(if $(filter aarch64%,$(TARGET)),arm),$\
	$(if $(filter riscv64%,$(TARGET)),riscv))
LIB_SRC := $(filter-out $(foreach a,$(filter-out $(KVM_ARCH),x86 arm riscv),$(a)/kvm%) \
	$(if $(KVM_ARCH),,core/kvm%),\
	$(sort $(wildcard util/*.c core/*.c disk/*.c net/*.c virtio/*.c hw/*.c x86/*.c arm/*.c riscv/*.c \
	riscv/soft/*.c vm*.c run-*.c)))
ifneq ($(wildcard $(KVM_ARCH)/kvm.c),)
BASE_CFLAGS += -DHAVE_KVM=1
endif
CMD_SRC := $(sort $(filter-out vm%.c,$(wildcard *.c)))
# What is busy while a VM runs comes first, side by side: the pages of the rest need not stay
# in memory (include/pages.h).
BUSY_SRC := $(filter-out core/aml.c core/boot% core/control-client.c core/fdt.c core/image% \
	core/kvm-probe.c core/kvm-stats.c core/symbols% riscv/soft/% util/options.c util/parse.c,\
	$(filter vm-run.c core/% virtio/% hw/% net/% util/% $(KVM_ARCH)/% \
	$(addprefix disk/,bounce.c disk% engine% raw.c),$(LIB_SRC)))
BUSY_OBJ := $(BUSY_SRC:%.c=$(OBJ)/%.o)
LIB_OBJ := $(LIB_SRC:%.c=$(OBJ)/%.o)
CMD_OBJ := $(CMD_SRC:%.c=$(OBJ)/%.o)

# User-mode networking: a program of its own, where its libraries are.
SLIRP := $(and $(call have,slirp/libslirp.h),$(call have,seccomp.h),$(OUT)kvik-slirp)
SLIRP_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(wildcard helpers/kvik-slirp/*.c))
PROGRAMS := $(BIN) $(SLIRP)

all: $(PROGRAMS)

$(OUT)kvik-slirp: $(SLIRP_OBJ) $(OBJ)/libkvik.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -lslirp -lseccomp

$(BIN): $(BUSY_OBJ) $(CMD_OBJ) $(OBJ)/libkvik.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

STATIC ?= -static-pie
static: $(OUT)kvik-static
$(OUT)kvik-static: $(BUSY_OBJ) $(CMD_OBJ) $(OBJ)/libkvik.a
	$(call say,LD,$@)
	$(Q)$(CC) $(filter-out -pie,$(LINK)) $(STATIC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Each architecture's build has a directory of its own.
cross: cross-riscv64 cross-arm64 cross-x86_64
cross-%:
	+$(Q)MAKE='$(MAKE)' scripts/cross-build $* $(abspath $(O))/$*

$(OBJ)/libkvik.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OBJ)/%.o: %.c $(OBJ)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# Changes when the compiler or a flag does, so that objects never mix.
$(OBJ)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(SOFT)' | cmp -s - $@ || echo '$(COMPILE) $(SOFT)' >$@

include tests/tests.mk

# --- the rest ---

install: $(PROGRAMS)
	install -D -m 755 $(BIN) $(DESTDIR)$(bindir)/kvik
	$(if $(SLIRP),install -D -m 755 $(SLIRP) $(DESTDIR)$(libexecdir)/kvik/kvik-slirp)
	install -d $(DESTDIR)$(mandir)/man1
	install -m 644 $(wildcard docs/man/*.1) $(DESTDIR)$(mandir)/man1
	install -D -m 644 -t $(DESTDIR)$(mandir)/man5 docs/man/kvik@.service.5
	install -d $(DESTDIR)$(systemdunitdir)
	sed 's|@bindir@|$(bindir)|' systemd/kvik@.service.in >$(DESTDIR)$(systemdunitdir)/kvik@.service
	$(if $(SLIRP),install -D -m 644 docs/man/kvik-slirp.8 $(DESTDIR)$(mandir)/man8/kvik-slirp.8)
	install -D -m 644 completions/kvik.bash $(DESTDIR)$(datadir)/bash-completion/completions/kvik
	install -D -m 644 completions/_kvik $(DESTDIR)$(datadir)/zsh/site-functions/_kvik
	install -D -m 644 completions/kvik.fish $(DESTDIR)$(datadir)/fish/vendor_completions.d/kvik.fish

clean:
	rm -rf $(wildcard $(O)/obj*) $(if $(OUT),,build kvik kvik-slirp kvik-static)

help:
	@echo 'make [all]           ./kvik'
	@echo 'make static          ./kvik-static, which needs no library'
	@echo 'make cross           static programs for three architectures: build/ARCH/kvik-static'
	@echo 'make install         program, man pages, completions and unit, to DESTDIR and prefix (/usr/local)'
	@echo 'make check           unit, command line and guest tests; no root, no network, no KVM'
	@echo 'make check-qcow2     disks beside qemu-img and qemu-io, and faults; check-qcow2-soak: at length'
	@echo 'make check-boot      stock Debian kernels; fetches them at first'
	@echo 'make check-boot-soak 50 boots in a row'
	@echo 'make check-life-soak 200 VMs that are killed at any moment, and 100 at once'
	@echo 'make check-distro    a Debian root file system up to its login prompt, and kvik as a service in it'
	@echo 'make check-cross     the engine on arm64 and riscv64 hosts, emulated by qemu-user'
	@echo 'make check-nested    KVM with stock kernels, in emulated hosts of three architectures'
	@echo 'make fuzz            each fuzzer for FUZZ_SECONDS (300); needs clang'
	@echo 'make bench           speed beside QEMU; BENCH_ARGS=-h lists the options'
	@echo 'make bench-nested    KVM beside kvmtool in emulated hosts; BENCH_ARGS=-h lists the options'
	@echo 'make lint            static checks and style'
	@echo 'make ci              all of that from scratch, as the continuous integration does'
	@echo 'make clean'
	@echo
	@echo 'V=1 shows the commands. CC=clang. SAN=address|thread|undefined builds and tests with'
	@echo 'a sanitizer. O=DIR puts everything into DIR; use it with CROSS_COMPILE=PREFIX-.'

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
.PHONY: all static cross install clean help FORCE
.PRECIOUS: $(OBJ)/%.o
