// SPDX-License-Identifier: GPL-2.0-or-later
// ELF kernels: vmlinux and bare guests, loaded by their program headers.
//
// Where a segment goes follows from the lowest p_paddr of all, since a stock
// riscv vmlinux counts its physical addresses from 0 (its linker script subtracts
// the link address), while bare guests name real ones:
//
//  - in RAM: as it says;
//  - 0 to 2 MiB, or in the upper half, where only virtual addresses lie: all
//    segments move, by a multiple of 2 MiB, so that the lowest one comes to lie
//    in the second 2 MiB of RAM, where an Image would;
//  - anywhere else (a device, a hole): refused.
//
// The segments come from the file one by one; or, from one that was unpacked, all of it
// lies in RAM already, mostly at the right place, and they are moved there.
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "image-internal.h"
#include "log.h"
#include "memory.h"

// vmlinux has under ten. Bounds the work on a file that says 65535.
#define MAX_SEGMENTS 64
// One holds all notes of a kernel, in under 1 KiB. Both bound the work, too.
#define MAX_NOTE_SEGMENTS 4
#define MAX_NOTE_BYTES (64 * KIB)

struct segment {
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t file_bytes;
	uint64_t memory_bytes;
};

struct segments {
	struct segment list[MAX_SEGMENTS];
	unsigned count;
	uint64_t lowest;  // p_paddr
	uint64_t highest; // first byte after the last one
	uint64_t entry;   // as the file has it
	struct image_notes notes;
	unsigned note_count;
};

static const struct {
	uint16_t machine;
	enum image_arch arch;
} machines[] = {
	{ EM_RISCV, IMAGE_ARCH_RISCV64 },
	{ EM_AARCH64, IMAGE_ARCH_ARM64 },
	{ EM_X86_64, IMAGE_ARCH_X86_64 },
};

static int find_arch(struct image *image, uint16_t machine)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		if (machines[i].machine != machine)
			continue;
		image->arch = machines[i].arch;
		return 0;
	}
	return fail_msg(EINVAL,
			"%s: is an ELF file for machine %u; known are riscv64, arm64 and x86-64",
			image->path, machine);
}

static int check_header(struct image *image, Elf64_Ehdr *header)
{
	if (image->head_bytes < sizeof(*header))
		return image_header_truncated(image, "its ELF");
	memcpy(header, image->head, sizeof(*header));
	if (header->e_ident[EI_CLASS] != ELFCLASS64)
		return fail_msg(EINVAL, "%s: is a 32-bit ELF file; a 64-bit kernel is needed",
				image->path);
	if (header->e_ident[EI_DATA] != ELFDATA2LSB)
		return fail_msg(EINVAL,
				"%s: is a big-endian ELF file; a little-endian kernel is needed",
				image->path);
	// ET_DYN: Linux built with CONFIG_RELOCATABLE.
	if (le16toh(header->e_type) != ET_EXEC && le16toh(header->e_type) != ET_DYN)
		return fail_msg(EINVAL, "%s: is an ELF file of type %u, not an executable",
				image->path, le16toh(header->e_type));
	return find_arch(image, le16toh(header->e_machine));
}

static int check_table(const struct image *image, const Elf64_Ehdr *header)
{
	uint64_t offset = le64toh(header->e_phoff);
	uint64_t bytes = (uint64_t)le16toh(header->e_phnum) * sizeof(Elf64_Phdr);

	if (!bytes || le16toh(header->e_phentsize) != sizeof(Elf64_Phdr))
		return fail_msg(EINVAL, "%s: has no program headers; an object file is no kernel",
				image->path);
	if (offset > image->size_bytes || bytes > image->size_bytes - offset)
		return fail_msg(EINVAL,
				"%s: its program headers lie beyond its %llu bytes; is the "
				"file complete?",
				image->path, (unsigned long long)image->size_bytes);
	return 0;
}

static int check_segment(const struct image *image, const struct segment *segment)
{
	if (segment->file_bytes > segment->memory_bytes)
		return fail_msg(EINVAL,
				"%s: a segment has more bytes in the file (%llu) than in "
				"memory (%llu)",
				image->path, (unsigned long long)segment->file_bytes,
				(unsigned long long)segment->memory_bytes);
	if (segment->offset > image->size_bytes ||
	    segment->file_bytes > image->size_bytes - segment->offset)
		return fail_msg(EINVAL,
				"%s: a segment of %llu bytes at %#llx goes beyond the file's "
				"%llu bytes; is it complete?",
				image->path, (unsigned long long)segment->file_bytes,
				(unsigned long long)segment->offset,
				(unsigned long long)image->size_bytes);
	if (segment->memory_bytes > IMAGE_MAX_BYTES ||
	    segment->paddr > UINT64_MAX - segment->memory_bytes)
		return fail_msg(EINVAL,
				"%s: a segment of %llu MiB at physical address %#llx: not a kernel",
				image->path, (unsigned long long)segment->memory_bytes / MIB,
				(unsigned long long)segment->paddr);
	return 0;
}

// Also bounds the work of loading: together the segments are no larger than RAM.
static int check_overlap(const struct image *image, const struct segments *segments,
			 const struct segment *new)
{
	for (unsigned i = 0; i < segments->count; i++) {
		const struct segment *old = &segments->list[i];

		if (new->paddr < old->paddr + old->memory_bytes &&
		    old->paddr < new->paddr + new->memory_bytes)
			return fail_msg(EINVAL,
					"%s: its segments at physical addresses %#llx and "
					"%#llx overlap",
					image->path, (unsigned long long)old->paddr,
					(unsigned long long)new->paddr);
	}
	return 0;
}

static int add_load(const struct image *image, struct segments *segments, const Elf64_Phdr *header)
{
	struct segment segment = {
		.offset = le64toh(header->p_offset),
		.vaddr = le64toh(header->p_vaddr),
		.paddr = le64toh(header->p_paddr),
		.file_bytes = le64toh(header->p_filesz),
		.memory_bytes = le64toh(header->p_memsz),
	};
	int rc;

	if (!segment.memory_bytes)
		return 0;
	if (segments->count == MAX_SEGMENTS)
		return fail_msg(EINVAL, "%s: has more than %u segments to load", image->path,
				MAX_SEGMENTS);
	rc = check_segment(image, &segment);
	if (!rc)
		rc = check_overlap(image, segments, &segment);
	if (rc)
		return rc;
	segments->lowest = MIN(segments->lowest, segment.paddr);
	segments->highest = MAX(segments->highest, segment.paddr + segment.memory_bytes);
	segments->list[segments->count++] = segment;
	return 0;
}

// One that does not lie within the file is as good as none.
static int add_notes(const struct image *image, struct segments *segments, const Elf64_Phdr *header)
{
	struct image_source bytes = image_bytes(image);
	struct image_source part = image_source_part(
		&bytes, le64toh(header->p_offset), MIN(le64toh(header->p_filesz), MAX_NOTE_BYTES));
	uint8_t *notes;
	int rc;

	if (image->arch != IMAGE_ARCH_X86_64 || segments->note_count++ >= MAX_NOTE_SEGMENTS ||
	    part.size_bytes < MIN(le64toh(header->p_filesz), MAX_NOTE_BYTES) || !part.size_bytes)
		return 0;
	notes = malloc(part.size_bytes);
	if (!notes)
		return fail(ENOMEM, "%s: read its notes", image->path);
	rc = image_source_read(&part, 0, notes, part.size_bytes);
	if (!rc)
		image_read_notes((struct image_span){ notes, part.size_bytes }, &segments->notes);
	free(notes);
	return rc;
}

static int add_segment(const struct image *image, struct segments *segments,
		       const Elf64_Phdr *header)
{
	switch (le32toh(header->p_type)) {
	case PT_LOAD:
		return add_load(image, segments, header);
	case PT_NOTE:
		return add_notes(image, segments, header);
	default:
		return 0;
	}
}

static int read_programs(const struct image *image, struct segments *segments,
			 const Elf64_Ehdr *header)
{
	struct image_source bytes = image_bytes(image);
	uint64_t at = le64toh(header->e_phoff);
	int rc = 0;

	for (unsigned i = 0; !rc && i < le16toh(header->e_phnum); i++) {
		Elf64_Phdr program;

		rc = image_source_read(&bytes, at + i * sizeof(program), &program, sizeof(program));
		if (!rc)
			rc = add_segment(image, segments, &program);
	}
	return rc;
}

static int read_segments(struct image *image, struct segments *segments)
{
	Elf64_Ehdr header = { 0 };
	int rc = check_header(image, &header);

	if (!rc)
		rc = check_table(image, &header);
	if (rc)
		return rc;
	*segments = (struct segments){ .lowest = UINT64_MAX, .entry = le64toh(header.e_entry) };
	rc = read_programs(image, segments, &header);
	if (rc)
		return rc;
	if (!segments->count)
		return fail_msg(EINVAL, "%s: has no segment to load: not a kernel", image->path);
	if (segments->highest - segments->lowest > IMAGE_MAX_BYTES)
		return fail_msg(EINVAL, "%s: its segments spread from %#llx to %#llx: not a kernel",
				image->path, (unsigned long long)segments->lowest,
				(unsigned long long)segments->highest);
	return 0;
}

int image_elf_parse(struct image *image)
{
	struct segments segments;
	int rc = read_segments(image, &segments);

	if (!rc)
		image->memory_bytes = segments.highest - segments.lowest;
	return rc;
}

// What to add to each p_paddr, modulo 2^64.
static int find_bias(const struct image *image, const struct segments *segments,
		     const struct memory *mem, uint64_t ram_base, uint64_t *bias)
{
	bool relative = segments->lowest <= IMAGE_ALIGN_BYTES || segments->lowest >> 63;

	// What lies beyond the end of RAM would fit into more of it.
	if (memory_ptr(mem, segments->lowest, 1) || (!relative && segments->lowest >= ram_base)) {
		*bias = 0;
		return 0;
	}
	if (!relative)
		return fail_msg(EINVAL,
				"%s: its segment at physical address %#llx does not lie in "
				"RAM, which begins at %#llx",
				image->path, (unsigned long long)segments->lowest,
				(unsigned long long)ram_base);
	*bias = ram_base + IMAGE_ALIGN_BYTES - align_down(segments->lowest, IMAGE_ALIGN_BYTES);
	return 0;
}

static bool find_physical(const struct segments *segments, uint64_t paddr)
{
	for (unsigned i = 0; i < segments->count; i++)
		if (paddr - segments->list[i].paddr < segments->list[i].memory_bytes)
			return true;
	return false;
}

static bool find_virtual(const struct segments *segments, uint64_t vaddr, uint64_t *paddr)
{
	for (unsigned i = 0; i < segments->count; i++) {
		const struct segment *segment = &segments->list[i];

		if (vaddr - segment->vaddr < segment->memory_bytes) {
			*paddr = segment->paddr + (vaddr - segment->vaddr);
			return true;
		}
	}
	return false;
}

// By Xen's note where there is no other protocol to follow. Linux has the note, too, but
// its own 64-bit entry takes more (a seed for the random number generator, for one),
// leaves out a change of mode, and is there whatever the kernel's configuration.
static bool is_pvh(const struct segments *segments)
{
	return segments->notes.has_pvh_entry && !segments->notes.is_linux;
}

// vmlinux names its entry by virtual address, as p_vaddr does; that of x86-64 by its
// physical one.
static int find_entry(const struct image *image, const struct segments *segments, uint64_t *paddr)
{
	uint64_t entry = is_pvh(segments) ? segments->notes.pvh_entry : segments->entry;
	bool physical = image->arch == IMAGE_ARCH_X86_64 && find_physical(segments, entry);

	*paddr = entry;
	if (physical || (!is_pvh(segments) && find_virtual(segments, entry, paddr)))
		return 0;
	return fail_msg(EINVAL, "%s: its entry point %#llx lies in none of its segments",
			image->path, (unsigned long long)entry);
}

// What loading takes, once it is checked.
struct plan {
	struct segments segments;
	uint64_t bias; // what to add to each p_paddr, modulo 2^64
	uint64_t entry_gpa;
};

static int make_plan(const struct image *image, const struct memory *mem, uint64_t ram_base,
		     struct plan *plan)
{
	struct image checked = *image; // read_segments() fills in what is there already
	struct segments *segments = &plan->segments;
	int rc = read_segments(&checked, segments);

	if (!rc)
		rc = find_bias(image, segments, mem, ram_base, &plan->bias);
	if (!rc)
		rc = find_entry(&checked, segments, &plan->entry_gpa);
	if (rc)
		return rc;
	plan->entry_gpa += plan->bias;
	return image_room(image, mem, segments->lowest + plan->bias,
			  segments->highest - segments->lowest) ?
		       0 :
		       -ENOSPC;
}

static struct image_placement placement_of(const struct plan *plan)
{
	return (struct image_placement){
		.entry_gpa = plan->entry_gpa,
		.start_gpa = plan->segments.lowest + plan->bias,
		.end_gpa = plan->segments.highest + plan->bias,
		.pvh = is_pvh(&plan->segments),
	};
}

// The segment lies in RAM, as all of the footprint does.
static int load_segment(const struct image *image, struct memory *mem,
			const struct segment *segment, uint64_t gpa)
{
	struct image_source bytes = image_bytes(image);
	uint8_t *host = memory_ptr(mem, gpa, segment->memory_bytes);
	int rc = image_source_read(&bytes, segment->offset, host, segment->file_bytes);

	if (rc)
		return rc;
	image_clear(mem, gpa + segment->file_bytes, segment->memory_bytes - segment->file_bytes);
	memory_mark_written(mem, gpa, segment->memory_bytes);
	return 0;
}

int image_elf_load(const struct image *image, struct memory *mem, uint64_t ram_base,
		   struct image_placement *placement)
{
	struct plan plan;
	int rc = make_plan(image, mem, ram_base, &plan);

	for (unsigned i = 0; !rc && i < plan.segments.count; i++)
		rc = load_segment(image, mem, &plan.segments.list[i],
				  plan.segments.list[i].paddr + plan.bias);
	if (!rc)
		*placement = placement_of(&plan);
	return rc;
}

// -- a file that lies in RAM --

// In the order of the table nothing is overwritten that is yet to be moved.
static bool can_move(const struct plan *plan, uint64_t file_gpa)
{
	const struct segment *list = plan->segments.list;

	for (unsigned i = 1; i < plan->segments.count; i++) {
		uint64_t gpa = list[i - 1].paddr + plan->bias;

		if (list[i].paddr < list[i - 1].paddr || list[i].offset < list[i - 1].offset ||
		    gpa + list[i - 1].file_bytes > file_gpa + list[i].offset)
			return false;
	}
	return true;
}

static void clear_between(struct memory *mem, uint64_t begin_gpa, uint64_t end_gpa)
{
	if (begin_gpa < end_gpa)
		memset(memory_ptr(mem, begin_gpa, end_gpa - begin_gpa), 0, end_gpa - begin_gpa);
}

static void move_segments(struct memory *mem, const struct plan *plan, uint64_t file_gpa)
{
	for (unsigned i = 0; i < plan->segments.count; i++) {
		const struct segment *segment = &plan->segments.list[i];
		uint8_t *to = memory_ptr(mem, segment->paddr + plan->bias, segment->file_bytes);
		uint8_t *from = memory_ptr(mem, file_gpa + segment->offset, segment->file_bytes);

		if (segment->file_bytes && to != from)
			memmove(to, from, segment->file_bytes);
	}
}

// Before, between and behind the segments, which are in order; and their BSS, of which
// fresh RAM holds only what the file has left there.
static void clear_rest(struct memory *mem, const struct plan *plan, uint64_t file_gpa,
		       uint64_t file_end_gpa)
{
	uint64_t at = file_gpa;

	for (unsigned i = 0; i < plan->segments.count; i++) {
		const struct segment *segment = &plan->segments.list[i];
		uint64_t gpa = segment->paddr + plan->bias;

		clear_between(mem, at, MIN(gpa, file_end_gpa));
		at = gpa + segment->memory_bytes;
		clear_between(mem, gpa + segment->file_bytes,
			      mem->fresh ? MIN(at, file_end_gpa) : at);
		at = MAX(at, file_gpa);
	}
	clear_between(mem, at, file_end_gpa);
}

int image_elf_settle(const struct image *image, uint64_t gpa, struct memory *mem, uint64_t ram_base,
		     struct image_placement *placement)
{
	uint64_t end_gpa = gpa + image->size_bytes;
	struct plan plan;
	int rc = make_plan(image, mem, ram_base, &plan);

	if (rc)
		return rc;
	if (!can_move(&plan, gpa))
		return -EXDEV;
	move_segments(mem, &plan, gpa);
	clear_rest(mem, &plan, gpa, end_gpa);
	*placement = placement_of(&plan);
	memory_mark_written(mem, gpa, image->size_bytes);
	memory_mark_written(mem, placement->start_gpa, placement->end_gpa - placement->start_gpa);
	return 0;
}
