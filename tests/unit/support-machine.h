// SPDX-License-Identifier: GPL-2.0-or-later
// A machine as vm.c makes one, around an accelerator of the test's; and the device tree
// that it leaves in RAM.
#ifndef KVIK_SUPPORT_MACHINE_H
#define KVIK_SUPPORT_MACHINE_H

#include <stdint.h>

#include "bus.h"
#include "device.h"
#include "image.h"
#include "loop.h"
#include "machine.h"
#include "memory.h"
#include "vcpu.h"
#include "vm-config.h"

struct machine_fixture {
	struct vm_config config;
	struct image kernel;
	struct memory memory;
	struct bus mmio;
	struct bus pio;
	unsigned power_requests; // bit n: enum vcpu_exit n was asked for
	struct accel accel;
	struct vcpu_set vcpus;
	struct device_list devices;
	struct loop loop;
	struct machine machine;
};

// Goes through the machine's steps up to its platform devices; each must succeed.
struct machine_fixture *machine_fixture_make(const struct machine_ops *ops,
					     const struct accel_ops *accel,
					     const struct vm_config *config);
void machine_fixture_free(struct machine_fixture *f);

// An Image of 64 KiB, with @magic at 0x38, that wants to lie at @text_offset and takes
// @memory_bytes.
void machine_fixture_give_kernel(struct machine_fixture *f, const char *magic, uint64_t text_offset,
				 uint64_t memory_bytes);
// A file of @size bytes that begins with "initrd"; valid until the next call.
const char *machine_fixture_write_initrd(uint64_t size);

// The tree that load() put into RAM at @fdt_gpa, checked.
const void *machine_fixture_tree(struct machine_fixture *f, uint64_t fdt_gpa);

// In a tree; the test fails where there is no such node or property. @len: what the
// property must have; -1: any.
int tree_node(const void *fdt, const char *path);
const void *tree_property(const void *fdt, const char *path, const char *name, int len);
uint32_t tree_u32(const void *fdt, const char *path, const char *name);
uint64_t tree_u64(const void *fdt, const char *path, const char *name);
void tree_assert_text(const void *fdt, const char *path, const char *name, const char *text);
void tree_assert_cells(const void *fdt, const char *path, const char *name, const uint32_t *cells,
		       unsigned count);
// dtc has nothing against it; nothing is tested where there is no dtc.
void tree_assert_sound(const void *fdt);
void tree_assert_no(const void *fdt, const char *path, const char *name);

// Fails the test when the two ranges overlap.
void assert_apart(uint64_t base, uint64_t size, uint64_t other, uint64_t other_size);

#endif
