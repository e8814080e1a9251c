// SPDX-License-Identifier: GPL-2.0-or-later
// Booting by device tree, as far as it is the same on every machine: kernel, initrd
// and tree go into RAM one after the other.
//
// Main thread, vCPUs stopped.
#ifndef KVIK_BOOT_H
#define KVIK_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "bootargs.h"
#include "util.h"

struct fdt_writer;
struct image;
struct memory;
struct vm_config;

// Enough to seed the guest's generator at once (it wants 256 bits).
#define BOOT_RNG_SEED_BYTES 64

// Linux maps no more of a tree (MAX_FDT_SIZE).
#define BOOT_TREE_MAX_BYTES (2 * MIB)

// What boot_load() left in RAM; made again by each.
struct boot {
	uint64_t entry_gpa;
	uint64_t fdt_gpa;
	uint64_t initrd_gpa;
	uint64_t initrd_bytes; // 0: there is none
	void *fdt;             // a copy of the tree
	size_t fdt_bytes;
	char bootargs[BOOTARGS_SIZE];
	uint64_t kaslr_seed;
	uint8_t rng_seed[BOOT_RNG_SEED_BYTES];
	int initrd_fd; // stays open for the next time; -1: not opened
};

// What a machine gives to it.
struct boot_source {
	const struct vm_config *config;
	struct image *kernel;
	struct memory *memory;
	uint64_t ram_base_gpa;
	size_t linux_line_size; // COMMAND_LINE_SIZE of its Linux
	size_t tree_room_bytes; // at most BOOT_TREE_MAX_BYTES
	// Writes the tree's nodes into the open root. Returns 0 or -errno after a message.
	int (*write_tree)(struct fdt_writer *fdt, const struct boot *boot, void *opaque);
	void *opaque;
};

void boot_init(struct boot *boot);
void boot_exit(struct boot *boot);

// Returns 0 or -errno after a message; -ENOSPC when something does not fit.
int boot_load(struct boot *boot, const struct boot_source *source) MUST_CHECK;

// Nodes for write_tree(): /chosen; /aliases with serial0, the port at @serial_path; and
// /memory@ for the RAM at [@base_gpa, @base_gpa + @size_bytes).
void boot_describe_chosen(struct fdt_writer *fdt, const struct boot *boot,
			  const struct vm_config *config);
void boot_describe_aliases(struct fdt_writer *fdt, const char *serial_path);
void boot_describe_memory(struct fdt_writer *fdt, uint64_t base_gpa, uint64_t size_bytes);

#endif
