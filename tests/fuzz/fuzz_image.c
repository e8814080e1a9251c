// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the kernel loaders: any bytes are parsed, and loaded if they pass for a kernel.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz-quiet.h"
#include "image.h"
#include "memory.h"

#define RAM_BASE 0x80000000ULL
#define RAM_BYTES (16 * MIB)
#define X86_RAM_BYTES (32 * MIB) // Linux lies at 16 MiB
// Larger inputs exercise the decompressors, not the checks.
#define MAX_INPUT_BYTES (64 * KIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct memory memory;     // of riscv64 and arm64, and
static struct memory x86_memory; // of x86-64, where it begins at 0

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	silence(argc, argv);
	memory_init(&memory);
	memory_init(&x86_memory);
	if (memory_add_ram(&memory, RAM_BASE, RAM_BYTES) ||
	    memory_add_ram(&x86_memory, 0, X86_RAM_BYTES))
		abort();
	return 0;
}

// A kernel that was loaded lies in RAM, its entry point within it.
static void check_placement(const struct memory *mem, const struct image_placement *placement)
{
	if (placement->entry_gpa < placement->start_gpa ||
	    placement->entry_gpa >= placement->end_gpa ||
	    !memory_ptr(mem, placement->start_gpa, placement->end_gpa - placement->start_gpa))
		abort();
}

static void load(const struct image *image)
{
	bool x86 = image->arch == IMAGE_ARCH_X86_64;
	struct memory *mem = x86 ? &x86_memory : &memory;
	struct image_placement placement;

	if (!image_load(image, mem, x86 ? 0 : RAM_BASE, &placement))
		check_placement(mem, &placement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image image;

	if (size > MAX_INPUT_BYTES || image_parse(&image, "fuzz", data, size))
		return 0;
	load(&image);
	image_close(&image);
	return 0;
}
