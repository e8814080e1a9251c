// SPDX-License-Identifier: GPL-2.0-or-later
// boot_params, the "zero page" of Linux's boot protocol on x86
// (Documentation/arch/x86/zero-page.rst and boot.rst).
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "image.h"
#include "log.h"
#include "memory.h"
#include "x86-boot.h"
#include "x86-machine.h"

// Offsets in boot_params; from 0x1f1 on those of the setup header.
enum {
	ACPI_RSDP_ADDR = 0x070,
	EXT_RAMDISK_IMAGE = 0x0c0,
	EXT_RAMDISK_SIZE = 0x0c4,
	E820_ENTRIES = 0x1e8,
	VID_MODE = 0x1fa,
	BOOT_FLAG = 0x1fe,
	HEADER = 0x202,
	VERSION = 0x206,
	TYPE_OF_LOADER = 0x210,
	LOADFLAGS = 0x211,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	CMD_LINE_PTR = 0x228,
	KERNEL_ALIGNMENT = 0x230,
	XLOADFLAGS = 0x236,
	CMDLINE_SIZE = 0x238,
	SETUP_DATA = 0x250,
	E820_TABLE = 0x2d0,
	BOOT_PARAMS_BYTES = 0x1000
};

#define HEADER_MAGIC 0x53726448 // "HdrS"
#define VID_MODE_NORMAL 0xffff
#define LOADER_UNDEFINED 0xff
#define LOADED_HIGH 1
#define XLF_KERNEL_64 1
#define XLF_CAN_BE_LOADED_ABOVE_4G 2

#define E820_MAX_ENTRIES 128
static_assert(X86_MAX_RANGES <= E820_MAX_ENTRIES, "boot_params has room for all");

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

// boot.rst, "setup_data": a list, each followed by its data.
struct setup_data {
	uint64_t next;
	uint32_t type;
	uint32_t length;
	uint8_t data[64]; // enough to seed the guest's generator at once
} __attribute__((packed));
#define SETUP_RNG_SEED 9

// Between the page tables and the command line.
#define SETUP_DATA_GPA 0x10000ULL

static void put8(uint8_t *params, unsigned offset, uint8_t value)
{
	params[offset] = value;
}

static void put16(uint8_t *params, unsigned offset, uint16_t value)
{
	value = htole16(value);
	memcpy(params + offset, &value, sizeof(value));
}

static void put32(uint8_t *params, unsigned offset, uint32_t value)
{
	value = htole32(value);
	memcpy(params + offset, &value, sizeof(value));
}

static void put64(uint8_t *params, unsigned offset, uint64_t value)
{
	value = htole64(value);
	memcpy(params + offset, &value, sizeof(value));
}

// As a kernel of today would have it in its bzImage: a vmlinux has none.
static void make_setup_header(uint8_t *params)
{
	put16(params, BOOT_FLAG, 0xaa55);
	put32(params, HEADER, HEADER_MAGIC);
	put16(params, VERSION, 0x20f);
	put8(params, LOADFLAGS, LOADED_HIGH);
	put32(params, KERNEL_ALIGNMENT, 2 * MIB);
	put16(params, XLOADFLAGS, XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G);
	put32(params, CMDLINE_SIZE, X86_LINUX_LINE_SIZE - 1);
}

static void write_setup_header(uint8_t *params, const struct image *kernel)
{
	if (kernel->setup_header_bytes)
		memcpy(params + IMAGE_SETUP_HEADER, kernel->setup_header,
		       kernel->setup_header_bytes);
	else
		make_setup_header(params);
	put16(params, VID_MODE, VID_MODE_NORMAL);
	put8(params, TYPE_OF_LOADER, LOADER_UNDEFINED);
}

static void write_initrd(uint8_t *params, const struct x86_boot *boot)
{
	put32(params, RAMDISK_IMAGE, boot->initrd_gpa);
	put32(params, EXT_RAMDISK_IMAGE, boot->initrd_gpa >> 32);
	put32(params, RAMDISK_SIZE, boot->initrd_bytes);
	put32(params, EXT_RAMDISK_SIZE, boot->initrd_bytes >> 32);
}

static void write_map(uint8_t *params, const struct x86_boot *boot)
{
	put8(params, E820_ENTRIES, boot->range_count);
	for (unsigned i = 0; i < boot->range_count; i++) {
		struct e820_entry entry = {
			.base = htole64(boot->ranges[i].base_gpa),
			.size = htole64(boot->ranges[i].size_bytes),
			.type = htole32(boot->ranges[i].type),
		};

		memcpy(params + E820_TABLE + i * sizeof(entry), &entry, sizeof(entry));
	}
}

static int write_seed(struct memory *mem)
{
	struct setup_data seed = {
		.type = htole32(SETUP_RNG_SEED),
		.length = htole32(sizeof(seed.data)),
	};

	// Up to 256 bytes come whole (getrandom(2)).
	if (getrandom(seed.data, sizeof(seed.data), 0) != (ssize_t)sizeof(seed.data))
		return fail(errno, "getrandom");
	return memory_write(mem, SETUP_DATA_GPA, &seed, sizeof(seed));
}

int x86_linux_write(const struct x86_boot *boot, struct memory *mem)
{
	uint8_t params[BOOT_PARAMS_BYTES] = { 0 };
	int rc = write_seed(mem);

	if (rc)
		return rc;
	write_setup_header(params, boot->kernel);
	write_initrd(params, boot);
	write_map(params, boot);
	put32(params, CMD_LINE_PTR, X86_CMDLINE_GPA);
	put64(params, SETUP_DATA, SETUP_DATA_GPA);
	put64(params, ACPI_RSDP_ADDR, X86_ACPI_GPA);
	return memory_write(mem, X86_BOOT_PARAMS_GPA, params, sizeof(params));
}
