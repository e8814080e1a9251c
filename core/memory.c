// SPDX-License-Identifier: GPL-2.0-or-later
// Guest RAM: banks between guard pages, and checked copies in and out.
//
// One bank in the host's address space:
//
//	mapping                  host                        mapping + mapping_bytes
//	| guard ... | slack      | size_bytes of RAM | slack ... guard |
//	  PROT_NONE                read, write         PROT_NONE
//
// The slack makes host congruent with base_gpa modulo the size of a huge page, so that
// one of the host can back one block of the guest's second-stage page table. With
// hugetlbfs, pages reach into the slack where the bank's ends are not theirs.

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "log.h"

#define GUEST_PAGE_BYTES (4 * KIB)
#define HUGE_PAGE_BYTES (2 * MIB)
#define GUARD_BYTES (64 * KIB) // the largest base page of a Linux host
#define HUGE_PAGE_MAX_BYTES GIB
#define OVERHEAD_BYTES (2 * HUGE_PAGE_MAX_BYTES + 2 * GUARD_BYTES)
#define HUGETLBFS_FSTYPE 0x958458f6 // HUGETLBFS_MAGIC of linux/magic.h

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

// Ordinary memory for [start, end), whole pages of the host.
static int map_pages(void *start, uint64_t bytes)
{
	if (map_reserved(start, bytes, PROT_READ | PROT_WRITE) == MAP_FAILED)
		return fail_msg(errno, "%llu MiB of guest RAM: %m; ask for less with -m",
				bytes / MIB);
	// A wish: a kernel without them still runs the guest.
	madvise(start, bytes, MADV_HUGEPAGE);
	return 0;
}

// Huge pages of @fd's file system; all of them are reserved here, so that the guest
// never finds one missing.
static int map_huge_pages(int fd, void *start, uint64_t bytes, uint64_t page_bytes)
{
	int flags = MAP_PRIVATE | MAP_FIXED;

	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    mmap(start, bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED)
		return fail_msg(errno,
				"--hugetlbfs: %llu MiB of guest RAM: %m; it takes %llu free huge "
				"pages of %llu MiB (see /proc/meminfo and vm.nr_hugepages)",
				bytes / MIB, (unsigned long long)(bytes / page_bytes),
				page_bytes / MIB);
	return 0;
}

// Makes [host, host + size_bytes) usable, by whole pages. @huge_fd: -1: not huge ones.
static int open_bank(struct memory_bank *bank, int huge_fd, uint64_t page_bytes)
{
	uintptr_t start = align_down((uintptr_t)bank->host, page_bytes);
	uintptr_t end = align_up((uintptr_t)bank->host + bank->size_bytes, page_bytes);
	void *ram = (void *)start;
	int ret = huge_fd >= 0 ? map_huge_pages(huge_fd, ram, end - start, page_bytes) :
				 map_pages(ram, end - start);

	if (!ret)
		madvise(ram, end - start, MADV_DONTDUMP); // a wish, too
	return ret;
}

// Between two guards, and congruent with its address in the guest modulo @congruent_bytes.
static int reserve_bank(struct memory_bank *bank, uint64_t congruent_bytes)
{
	uintptr_t lowest;

	bank->mapping_bytes = bank->size_bytes + 2 * congruent_bytes + 2 * GUARD_BYTES;
	bank->mapping = map_reserved(NULL, bank->mapping_bytes, PROT_NONE);
	if (bank->mapping == MAP_FAILED)
		return fail_msg(errno, "%llu MiB of guest RAM: %m; ask for less with -m",
				bank->size_bytes / MIB);
	lowest = align_up((uintptr_t)bank->mapping + GUARD_BYTES, congruent_bytes);
	bank->host = (uint8_t *)lowest + bank->base_gpa % congruent_bytes;
	return 0;
}

static int map_bank(struct memory_bank *bank, int huge_fd, uint64_t page_bytes)
{
	int ret = reserve_bank(bank, MAX(page_bytes, HUGE_PAGE_BYTES));

	if (ret)
		return ret;
	ret = open_bank(bank, huge_fd, page_bytes);
	if (ret)
		munmap(bank->mapping, bank->mapping_bytes);
	return ret;
}

// A nameless file there; its file system's page size.
static int open_huge_file(const char *directory, uint64_t *page_bytes)
{
	struct statfs fs;
	char path[PATH_MAX];
	int fd;

	if (statfs(directory, &fs) < 0)
		return fail(errno, "--hugetlbfs %s", directory);
	*page_bytes = (uint64_t)fs.f_bsize;
	if ((uint32_t)fs.f_type != HUGETLBFS_FSTYPE || *page_bytes > HUGE_PAGE_MAX_BYTES)
		return fail_msg(EINVAL,
				"--hugetlbfs %s: is not on a hugetlbfs; mount one there: "
				"mount -t hugetlbfs none DIRECTORY",
				directory);
	if ((size_t)snprintf(path, sizeof(path), "%s/kvik-XXXXXX", directory) >= sizeof(path))
		return fail(ENAMETOOLONG, "--hugetlbfs %s", directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return fail(errno, "--hugetlbfs %s: make a file", directory);
	unlink(path);
	return fd;
}

// The mapping keeps the file.
static int map_huge_bank(struct memory_bank *bank, const char *directory)
{
	uint64_t page_bytes;
	int fd = open_huge_file(directory, &page_bytes), ret;

	if (fd < 0)
		return fd;
	ret = map_bank(bank, fd, page_bytes);
	close(fd);
	return ret;
}

int memory_add_ram(struct memory *mem, uint64_t base_gpa, uint64_t size_bytes)
{
	struct memory_bank *bank = &mem->banks[mem->bank_count];
	int ret = check_bank(mem, base_gpa, size_bytes);

	if (ret)
		return ret;
	*bank = (struct memory_bank){ .base_gpa = base_gpa, .size_bytes = size_bytes };
	// A small one would waste most of its page.
	if (mem->hugetlbfs && size_bytes >= HUGE_PAGE_BYTES)
		ret = map_huge_bank(bank, mem->hugetlbfs);
	else
		ret = map_bank(bank, -1, (uint64_t)sysconf(_SC_PAGESIZE));
	if (ret)
		return ret;
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

uint64_t memory_discard(struct memory *mem, uint64_t gpa, uint64_t len)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint8_t *ram = memory_ptr(mem, gpa, len);
	uintptr_t start = align_up((uintptr_t)ram, page_bytes);
	uintptr_t end = align_down((uintptr_t)ram + len, page_bytes);

	// A huge page that goes may not come back, and some kernels (5.18 to 6.0) drop all of
	// one of which a part is named.
	if (!ram || start >= end || mem->hugetlbfs)
		return 0;
	if (madvise((void *)start, end - start, MADV_DONTNEED))
		return 0;
	memory_mark_written(mem, gpa + (start - (uintptr_t)ram), end - start);
	return end - start;
}

uint64_t memory_total_bytes(const struct memory *mem)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < mem->bank_count; i++)
		total += mem->banks[i].size_bytes;
	return total;
}
