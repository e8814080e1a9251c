// SPDX-License-Identifier: GPL-2.0-or-later
// A software engine of two harts and a MiB of RAM, whose threads do not run.
#ifndef KVIK_TESTS_SOFT_FIXTURE_H
#define KVIK_TESTS_SOFT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../riscv/soft/hart.h"
#include "memory.h"
#include "riscv-soft.h"
#include "vm-config.h"

#include <cmocka.h>

#define HARTS 2

struct engine {
	struct vm_config config;
	struct memory memory;
	struct accel accel;
	struct vcpu vcpus[HARTS];
};

static inline struct hart *hart(struct engine *engine, unsigned index)
{
	return engine->vcpus[index].priv;
}

// @clock_ns in place of CLOCK_MONOTONIC; NULL: that.
static inline void engine_init(struct engine *engine, uint64_t (*clock_ns)(void))
{
	struct accel *accel = &engine->accel;

	engine->config.cpus = HARTS;
	accel->ops = &soft_accel_ops;
	accel->config = &engine->config;
	accel->memory = &engine->memory;
	memory_init(&engine->memory);
	assert_int_equal(memory_add_ram(&engine->memory, 0x80000000, 1 * MIB), 0);
	assert_int_equal(accel->ops->vm_init(accel), 0);
	if (clock_ns)
		((struct soft_vm *)accel->priv)->clock_ns = clock_ns;
	assert_int_equal(accel->ops->map_ram(accel), 0);
	for (unsigned i = 0; i < HARTS; i++) {
		engine->vcpus[i] = (struct vcpu){ .index = i, .accel = accel };
		assert_int_equal(accel->ops->vcpu_init(&engine->vcpus[i]), 0);
	}
}

static inline void engine_exit(struct engine *engine)
{
	for (unsigned i = 0; i < HARTS; i++)
		engine->accel.ops->vcpu_exit(&engine->vcpus[i]);
	engine->accel.ops->vm_exit(&engine->accel);
	memory_exit(&engine->memory);
}

#endif
