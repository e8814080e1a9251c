// SPDX-License-Identifier: GPL-2.0-or-later
// The start of an x86-64 kernel: memory map, descriptor table, page tables.
//
// Linux is entered by its 64-bit boot protocol (Documentation/arch/x86/boot.rst): in
// 64-bit mode, flat segments, interrupts off, everything mapped to where it is; other
// kernels by PVH (Documentation/arch/x86/pvh.rst, Xen's misc/pvh.pandoc): in 32-bit mode
// without paging.
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "log.h"
#include "memory.h"
#include "x86-boot.h"
#include "x86-machine.h"

#define VGA_GPA 0xa0000ULL // RAM for programs ends here on every PC

// What KVM keeps for itself, see machine.c's map.
#define KVM_PRIVATE_GPA 0xfffbc000ULL
#define KVM_PRIVATE_BYTES 0x4000ULL

// -- memory map --

static int add_range(struct x86_boot *boot, uint64_t begin, uint64_t end, uint32_t type)
{
	if (begin >= end)
		return 0;
	if (boot->range_count == X86_MAX_RANGES)
		return fail_msg(ENOSPC, "the memory map has more than %u ranges", X86_MAX_RANGES);
	boot->ranges[boot->range_count++] = (struct x86_range){ begin, end - begin, type };
	return 0;
}

// The lowest MiB is laid out as in a PC: the kernels look at it so.
static int add_lowest(struct x86_boot *boot, uint64_t ram_end)
{
	uint64_t acpi_end = X86_ACPI_GPA + X86_ACPI_BYTES;
	int rc = add_range(boot, 0, MIN(ram_end, X86_LOW_RAM_END), X86_RANGE_RAM);

	if (!rc)
		rc = add_range(boot, X86_LOW_RAM_END, VGA_GPA, X86_RANGE_RESERVED);
	if (!rc)
		rc = add_range(boot, X86_ACPI_GPA, acpi_end, X86_RANGE_ACPI);
	if (!rc) // the reset vector
		rc = add_range(boot, acpi_end, X86_KERNEL_GPA, X86_RANGE_RESERVED);
	return rc ? rc : add_range(boot, X86_KERNEL_GPA, ram_end, X86_RANGE_RAM);
}

// RAM that begins elsewhere lies above all others.
int x86_boot_map(struct x86_boot *boot, const struct memory *mem)
{
	uint64_t kvm_end = KVM_PRIVATE_GPA + KVM_PRIVATE_BYTES;
	int rc = 0;

	boot->range_count = 0;
	for (unsigned i = 0; !rc && i < mem->bank_count; i++)
		if (!mem->banks[i].base_gpa)
			rc = add_lowest(boot, mem->banks[i].size_bytes);
	if (!rc)
		rc = add_range(boot, KVM_PRIVATE_GPA, kvm_end, X86_RANGE_RESERVED);
	for (unsigned i = 0; !rc && i < mem->bank_count; i++) {
		const struct memory_bank *bank = &mem->banks[i];

		if (bank->base_gpa)
			rc = add_range(boot, bank->base_gpa, bank->base_gpa + bank->size_bytes,
				       X86_RANGE_RAM);
	}
	return rc;
}

// -- descriptors and page tables --

// Intel SDM vol. 3A 3.4.5: base 0, limit 4 GiB, present and accessed.
#define DESCRIPTOR_CODE_64 0x00af9b000000ffffULL
#define DESCRIPTOR_CODE_32 0x00cf9b000000ffffULL
#define DESCRIPTOR_DATA 0x00cf93000000ffffULL

static int write_descriptors(struct memory *mem, bool long_mode, struct x86_entry *entry)
{
	uint64_t table[X86_BOOT_DS / 8 + 1] = {
		[X86_BOOT_CS / 8] = htole64(long_mode ? DESCRIPTOR_CODE_64 : DESCRIPTOR_CODE_32),
		[X86_BOOT_DS / 8] = htole64(DESCRIPTOR_DATA),
	};

	entry->gdt_gpa = X86_GDT_GPA;
	entry->gdt_bytes = sizeof(table);
	return memory_write(mem, X86_GDT_GPA, table, sizeof(table));
}

#define PAGE_BYTES (4 * KIB)
#define TABLE_ENTRIES (PAGE_BYTES / 8)
#define DIRECTORIES 4 // of 1 GiB each

// Intel SDM vol. 3A 4.5.
#define ENTRY_PRESENT (1ULL << 0)
#define ENTRY_WRITE (1ULL << 1)
#define ENTRY_LARGE (1ULL << 7) // of 2 MiB

struct page_tables {
	uint64_t pml4[TABLE_ENTRIES];
	uint64_t pdpt[TABLE_ENTRIES];
	uint64_t directories[DIRECTORIES * TABLE_ENTRIES];
};
static_assert(X86_PAGE_TABLES_GPA + sizeof(struct page_tables) <= X86_CMDLINE_GPA, "they overlap");

static uint64_t table_entry(size_t offset)
{
	return htole64((X86_PAGE_TABLES_GPA + offset) | ENTRY_PRESENT | ENTRY_WRITE);
}

// The lowest 4 GiB: kernel, command line, boot_params and tables all lie there. Linux
// maps an initrd above them itself.
static int write_page_tables(struct memory *mem)
{
	struct page_tables *tables = memory_ptr(mem, X86_PAGE_TABLES_GPA, sizeof(*tables));

	if (!tables)
		return -EFAULT;
	memset(tables, 0, sizeof(*tables));
	tables->pml4[0] = table_entry(offsetof(struct page_tables, pdpt));
	for (unsigned i = 0; i < DIRECTORIES; i++)
		tables->pdpt[i] =
			table_entry(offsetof(struct page_tables, directories) + i * PAGE_BYTES);
	for (unsigned i = 0; i < ARRAY_SIZE(tables->directories); i++)
		tables->directories[i] =
			htole64(i * 2 * MIB | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE);
	memory_mark_written(mem, X86_PAGE_TABLES_GPA, sizeof(*tables));
	return 0;
}

int x86_boot_write(const struct x86_boot *boot, struct memory *mem, struct x86_entry *entry)
{
	int rc = boot->pvh ? x86_pvh_write(boot, mem) : x86_linux_write(boot, mem);

	*entry = (struct x86_entry){
		.long_mode = !boot->pvh,
		.rip = boot->entry_gpa,
		.rsp = X86_BOOT_STACK_GPA,
		.rbx = boot->pvh ? X86_PVH_INFO_GPA : 0,
		.rsi = boot->pvh ? 0 : X86_BOOT_PARAMS_GPA,
		.cr3 = boot->pvh ? 0 : X86_PAGE_TABLES_GPA,
	};
	if (!rc)
		rc = memory_write(mem, X86_CMDLINE_GPA, boot->command_line,
				  strlen(boot->command_line) + 1);
	if (!rc)
		rc = write_descriptors(mem, !boot->pvh, entry);
	return rc || boot->pvh ? rc : write_page_tables(mem);
}
