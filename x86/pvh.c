// SPDX-License-Identifier: GPL-2.0-or-later
// hvm_start_info, what a kernel that is entered by PVH finds
// (xen/include/public/arch-x86/hvm/start_info.h).
#include <assert.h>
#include <endian.h>

#include "memory.h"
#include "x86-boot.h"
#include "x86-machine.h"

#define START_MAGIC 0x336ec578 // "xEn3", the E's top bit set
#define START_VERSION 1        // the first with a memory map

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t command_line;
	uint64_t rsdp;
	uint64_t map;
	uint32_t map_entries;
	uint32_t reserved;
} __attribute__((packed));
static_assert(sizeof(struct start_info) == 56, "start_info.h, version 1");

struct start_module {
	uint64_t address;
	uint64_t size;
	uint64_t command_line;
	uint64_t reserved;
} __attribute__((packed));

struct start_range {
	uint64_t address;
	uint64_t size;
	uint32_t type; // as E820's
	uint32_t reserved;
} __attribute__((packed));

struct start {
	struct start_info info;
	struct start_module initrd;
	struct start_range map[X86_MAX_RANGES];
} __attribute__((packed));
static_assert(X86_PVH_INFO_GPA + sizeof(struct start) <= X86_BOOT_PARAMS_GPA, "they overlap");

static uint64_t gpa_of(size_t offset)
{
	return htole64(X86_PVH_INFO_GPA + offset);
}

int x86_pvh_write(const struct x86_boot *boot, struct memory *mem)
{
	struct start start = {
		.info = {
			.magic = htole32(START_MAGIC),
			.version = htole32(START_VERSION),
			.module_count = htole32(boot->initrd_bytes ? 1 : 0),
			.modules = boot->initrd_bytes ? gpa_of(offsetof(struct start, initrd)) : 0,
			.command_line = htole64(X86_CMDLINE_GPA),
			.rsdp = htole64(X86_ACPI_GPA),
			.map = gpa_of(offsetof(struct start, map)),
			.map_entries = htole32(boot->range_count),
		},
		.initrd = {
			.address = htole64(boot->initrd_gpa),
			.size = htole64(boot->initrd_bytes),
		},
	};

	for (unsigned i = 0; i < boot->range_count; i++)
		start.map[i] = (struct start_range){
			.address = htole64(boot->ranges[i].base_gpa),
			.size = htole64(boot->ranges[i].size_bytes),
			.type = htole32(boot->ranges[i].type),
		};
	return memory_write(mem, X86_PVH_INFO_GPA, &start, sizeof(start));
}
