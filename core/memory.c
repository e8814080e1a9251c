// SPDX-License-Identifier: GPL-2.0-or-later
// Guest RAM: banks between guard pages, and checked copies in and out.
//
// One bank in the host's address space:
//
//	mapping                  host                        mapping + mapping_bytes
//	| guard ... | slack      | size_bytes of RAM | slack ... guard |
//	  PROT_NONE                read, write         PROT_NONE
//
// The slack makes host congruent with base_gpa modulo 2 MiB, so that one huge page
// of the host can back one block of the guest's second-stage page table.

#include "memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"

#define GUEST_PAGE_BYTES (4 * KIB)
#define HUGE_PAGE_BYTES (2 * MIB)
#define GUARD_BYTES (64 * KIB) // the largest base page of a Linux host
#define OVERHEAD_BYTES (2 * HUGE_PAGE_BYTES + 2 * GUARD_BYTES)

void memory_init(struct memory *mem)
{
	*mem = (struct memory){ 0 };
}

void memory_exit(struct memory *mem)
{
	for (unsigned i = 0; i < mem->bank_count; i++)
		munmap(mem->banks[i].mapping, mem->banks[i].mapping_bytes);
	mem->bank_count = 0;
}

static bool banks_overlap(const struct memory_bank *bank, uint64_t base_gpa, uint64_t size_bytes)
{
	return base_gpa < bank->base_gpa + bank->size_bytes &&
	       bank->base_gpa < base_gpa + size_bytes;
}

static int check_bank(const struct memory *mem, uint64_t base_gpa, uint64_t size_bytes)
{
	if (!size_bytes || (base_gpa | size_bytes) % GUEST_PAGE_BYTES)
		return fail_msg(EINVAL,
				"RAM at 0x%" PRIx64 " + 0x%" PRIx64 " is not whole pages of 4 KiB",
				base_gpa, size_bytes);
	if (size_bytes > UINT64_MAX - base_gpa || size_bytes > UINT64_MAX - OVERHEAD_BYTES)
		return fail_msg(EINVAL,
				"RAM at 0x%" PRIx64
				": %llu MiB do not fit there; ask for less with -m",
				base_gpa, size_bytes / MIB);
	if (mem->bank_count == MEMORY_MAX_BANKS)
		return fail_msg(EINVAL, "RAM at 0x%" PRIx64 ": more than %d banks", base_gpa,
				MEMORY_MAX_BANKS);
	for (unsigned i = 0; i < mem->bank_count; i++)
		if (banks_overlap(&mem->banks[i], base_gpa, size_bytes))
			return fail_msg(EINVAL, "RAM at 0x%" PRIx64 " overlaps RAM at 0x%" PRIx64,
					base_gpa, mem->banks[i].base_gpa);
	return 0;
}

static void *map_reserved(void *at, uint64_t bytes, int prot)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0);

	return mmap(at, bytes, prot, flags, -1, 0);
}

// Makes [host, host + size_bytes) usable, by whole pages of the host.
static int open_bank(struct memory_bank *bank)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE);
	uintptr_t start = align_down((uintptr_t)bank->host, page_bytes);
	uintptr_t end = align_up((uintptr_t)bank->host + bank->size_bytes, page_bytes);
	void *ram = (void *)start;

	if (map_reserved(ram, end - start, PROT_READ | PROT_WRITE) == MAP_FAILED)
		return -errno;
	// Both are wishes: a kernel without them still runs the guest.
	madvise(ram, end - start, MADV_HUGEPAGE);
	madvise(ram, end - start, MADV_DONTDUMP);
	return 0;
}

static int map_bank(struct memory_bank *bank)
{
	uintptr_t lowest;
	int ret;

	bank->mapping_bytes = bank->size_bytes + OVERHEAD_BYTES;
	bank->mapping = map_reserved(NULL, bank->mapping_bytes, PROT_NONE);
	if (bank->mapping == MAP_FAILED)
		return -errno;
	lowest = align_up((uintptr_t)bank->mapping + GUARD_BYTES, HUGE_PAGE_BYTES);
	bank->host = (uint8_t *)lowest + bank->base_gpa % HUGE_PAGE_BYTES;
	ret = open_bank(bank);
	if (ret)
		munmap(bank->mapping, bank->mapping_bytes);
	return ret;
}

int memory_add_ram(struct memory *mem, uint64_t base_gpa, uint64_t size_bytes)
{
	struct memory_bank *bank = &mem->banks[mem->bank_count];
	int ret = check_bank(mem, base_gpa, size_bytes);

	if (ret)
		return ret;
	*bank = (struct memory_bank){ .base_gpa = base_gpa, .size_bytes = size_bytes };
	ret = map_bank(bank);
	if (ret)
		return fail_msg(-ret, "%llu MiB of guest RAM: %m; ask for less with -m",
				size_bytes / MIB);
	mem->bank_count++;
	return 0;
}

int memory_read(const struct memory *mem, uint64_t gpa, void *data, uint64_t len)
{
	const void *ram = memory_ptr(mem, gpa, len);

	if (!ram)
		return -EFAULT;
	memcpy(data, ram, len);
	return 0;
}

int memory_write(struct memory *mem, uint64_t gpa, const void *data, uint64_t len)
{
	void *ram = memory_ptr(mem, gpa, len);

	if (!ram)
		return -EFAULT;
	memcpy(ram, data, len);
	memory_mark_written(mem, gpa, len);
	return 0;
}

uint64_t memory_total_bytes(const struct memory *mem)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < mem->bank_count; i++)
		total += mem->banks[i].size_bytes;
	return total;
}
