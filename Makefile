# SPDX-License-Identifier: GPL-2.0-or-later
# Builds ./kvik. See `make help`.

CC ?= gcc
ifneq ($(CROSS_COMPILE),)
CC := $(CROSS_COMPILE)gcc
endif
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config

# SAN=address|thread|undefined builds beside the plain objects.
SAN ?=
O ?= build
OBJ := $(O)/obj$(if $(SAN),-$(SAN))
BIN := $(if $(SAN)$(filter-out build,$(O)),$(OBJ)/kvik,kvik)

Q := $(if $(filter 1,$(V)),,@)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wundef -Wwrite-strings -Wvla -Wno-unused-parameter \
	-Wno-missing-field-initializers
OPT ?= -O2 -g
BASE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -iquote include -pthread -fno-strict-aliasing $(WARN)
ifneq ($(SAN),)
BASE_CFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer
BASE_LDFLAGS += -fsanitize=$(SAN)
endif
ALL_CFLAGS = $(BASE_CFLAGS) $(OPT) $(CFLAGS)
LIBS := -lfdt -laio -lz -lzstd -lm -pthread

LIB_SRC := $(sort $(wildcard util/*.c core/*.c disk/*.c virtio/*.c hw/*.c riscv/*.c riscv/soft/*.c)) vm.c
CMD_SRC := main.c $(sort $(wildcard builtin-*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(OBJ)/%.o)
CMD_OBJ := $(CMD_SRC:%.c=$(OBJ)/%.o)

all: $(BIN)

$(BIN): $(CMD_OBJ) $(OBJ)/libkvik.a
	@echo "  LD      $@"
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OBJ)/libkvik.a: $(LIB_OBJ)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OBJ)/%.o: %.c
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Unit tests: one program a module, run one by one.
UNIT := $(patsubst tests/unit/%.c,$(OBJ)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
$(OBJ)/tests/%: $(OBJ)/tests/unit/%.o $(OBJ)/libkvik.a
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
unit: $(UNIT)
	$(Q)for t in $(UNIT); do $$t || exit 1; done

clean:
	rm -rf build kvik kvik-static

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
.PHONY: all unit clean
.SECONDARY:
