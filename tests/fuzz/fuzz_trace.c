// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the walks of a guest's page tables and stacks: any registers, any memory.
//
// The input is the architecture, the registers, and what RAM begins with.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arm-accel.h"
#include "cpu-view.h"
#include "memory.h"
#include "riscv-accel.h"
#include "x86-accel.h"

#define RAM_BYTES (128 * KIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	uint64_t architecture, pc, sp, frame, link, registers[4];
};

static struct memory memory;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	memory_init(&memory);
	if (memory_add_ram(&memory, 0, RAM_BYTES))
		abort();
	return 0;
}

static struct cpu_view view_of(const struct input *input)
{
	static const struct cpu_view_ops *const ops[] = { &riscv_view_ops, &arm_view_ops,
							  &x86_view_ops };
	struct cpu_view view = {
		.ops = ops[input->architecture % ARRAY_SIZE(ops)],
		.memory = &memory,
		.pc = input->pc,
		.sp = input->sp,
		.frame = input->frame,
		.link = input->link,
		.in_kernel = true,
	};

	_Static_assert(sizeof(view.arm) == sizeof(input->registers), "each has its place");
	memcpy(&view.arm, input->registers, sizeof(view.arm));
	if (view.ops == &arm_view_ops)
		view.signature = arm_signature_bits(view.arm.tcr);
	return view;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace_entry entries[TRACE_MAX];
	uint8_t *ram = memory_ptr(&memory, 0, RAM_BYTES);
	struct input input;
	struct cpu_view view;
	unsigned count;

	if (size < sizeof(input) || size - sizeof(input) > RAM_BYTES)
		return 0;
	memcpy(&input, data, sizeof(input));
	memset(ram, 0, RAM_BYTES);
	memcpy(ram, data + sizeof(input), size - sizeof(input));
	view = view_of(&input);
	count = cpu_trace(&view, entries);
	if (!count || count > TRACE_MAX || entries[0].address != input.pc)
		abort();
	for (unsigned i = 0; i < count; i++)
		if (entries[i].source >= TRACE_SOURCE_COUNT)
			abort();
	return 0;
}
