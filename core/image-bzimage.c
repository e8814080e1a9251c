// SPDX-License-Identifier: GPL-2.0-or-later
// bzImage: Linux for x86, which unpacks itself (Documentation/arch/x86/boot.rst).
//
// The file is a real-mode part that nobody needs any more, then the protected-mode
// part: a stub with the packed kernel inside. The stub sets up page tables and a heap,
// unpacks the kernel in place, moves its segments to where they belong and jumps there.
// Here kvik does that in its stead: quicker, and without any instruction that an
// emulating KVM may lack. What is unpacked is the ELF file vmlinux with, behind it, a
// list of relocations; those serve to move the *virtual* addresses for KASLR. At the
// physical address that it was linked for, the kernel needs none of them, and that is
// where its program headers put it (CONFIG_PHYSICAL_START, mostly 16 MiB).
//
// It is unpacked to RAM, so that most of it lies where it belongs at once.
//
// A kernel packed by a method that this build does not know unpacks itself.
#include <errno.h>
#include <stdlib.h>

#include "image-internal.h"
#include "log.h"
#include "memory.h"

// The setup header of x86/boot.rst.
#define BZ_SETUP_SECTS 0x1f1
#define BZ_BOOT_FLAG 0x1fe
#define BZ_JUMP_BYTES 0x201
#define BZ_HEADER 0x202
#define BZ_VERSION 0x206
#define BZ_XLOADFLAGS 0x236
#define BZ_CMDLINE_SIZE 0x238
#define BZ_PAYLOAD_OFFSET 0x248
#define BZ_PAYLOAD_LENGTH 0x24c
#define BZ_PREF_ADDRESS 0x258
#define BZ_INIT_SIZE 0x260
#define BZ_HEADER_END 0x264
#define BZ_XLF_KERNEL_64 1

// Of the 64-bit entry point in the protected-mode part.
#define BZ_ENTRY_64 0x200

// mkpiggy.c: a payload ends in the size of what is packed. In gzip's own format that is
// so by itself; for the others Linux's Makefiles append it.
#define BZ_UNPACKED_SIZE_BYTES 4

// Far above what any machine has: the check against RAM comes with loading.
#define ADDRESS_MAX (1ULL << 48)

bool image_is_bzimage(const struct image *image)
{
	return image_has_bytes(image, BZ_BOOT_FLAG, "\x55\xaa", 2) &&
	       image_has_bytes(image, BZ_HEADER, "HdrS", 4);
}

// -- parsing --

static uint64_t setup_bytes(const struct image *image)
{
	unsigned sectors = image->head[BZ_SETUP_SECTS];

	// 0 stands for 4, for the sake of old boot loaders.
	return ((sectors ? sectors : 4) + 1) * 512;
}

static int check_version(const struct image *image)
{
	unsigned version = load_le16(image->head + BZ_VERSION);

	if (version < 0x20c)
		return fail_msg(EINVAL,
				"%s: is a bzImage of boot protocol %u.%02u; 2.12 (Linux 3.8) "
				"is needed",
				image->path, version >> 8, version & 0xff);
	if (!(load_le16(image->head + BZ_XLOADFLAGS) & BZ_XLF_KERNEL_64))
		return fail_msg(EINVAL, "%s: is a 32-bit x86 kernel; build a 64-bit one",
				image->path);
	return 0;
}

static int check_payload(const struct image *image)
{
	uint64_t room = image->size_bytes - setup_bytes(image);
	uint64_t offset = load_le32(image->head + BZ_PAYLOAD_OFFSET);
	uint64_t length = load_le32(image->head + BZ_PAYLOAD_LENGTH);

	if (offset + length <= room)
		return 0;
	return fail_msg(EINVAL,
			"%s: its payload (%llu bytes at %#llx) goes beyond the file's %llu bytes; "
			"is it complete?",
			image->path, (unsigned long long)length,
			(unsigned long long)(setup_bytes(image) + offset),
			(unsigned long long)image->size_bytes);
}

static int check_header(const struct image *image)
{
	if (setup_bytes(image) >= image->size_bytes)
		return fail_msg(EINVAL,
				"%s: has no kernel after its %llu bytes of setup; is the file "
				"complete?",
				image->path, (unsigned long long)setup_bytes(image));
	if (!load_le32(image->head + BZ_CMDLINE_SIZE))
		return fail_msg(EINVAL, "%s: its header allows no command line: not a kernel",
				image->path);
	if (load_le64(image->head + BZ_PREF_ADDRESS) > ADDRESS_MAX)
		return fail_msg(EINVAL, "%s: its header asks for address %#llx: not a kernel",
				image->path,
				(unsigned long long)load_le64(image->head + BZ_PREF_ADDRESS));
	return check_payload(image);
}

// boot.rst, 64-bit boot protocol: its end is given by the jump over it.
static void keep_setup_header(struct image *image)
{
	size_t end = BZ_HEADER + image->head[BZ_JUMP_BYTES];
	size_t bytes = MAX(end, (size_t)BZ_HEADER_END) - IMAGE_SETUP_HEADER;

	bytes = MIN(bytes, sizeof(image->setup_header));
	bytes = MIN(bytes, image->head_bytes - IMAGE_SETUP_HEADER);
	memcpy(image->setup_header, image->head + IMAGE_SETUP_HEADER, bytes);
	image->setup_header_bytes = bytes;
}

int image_bzimage_parse(struct image *image)
{
	int rc;

	if (image->head_bytes < BZ_HEADER_END)
		return image_header_truncated(image, "its bzImage");
	rc = check_version(image);
	if (!rc)
		rc = check_header(image);
	if (rc)
		return rc;
	keep_setup_header(image);
	return image_set_footprint(image, load_le64(image->head + BZ_PREF_ADDRESS),
				   load_le32(image->head + BZ_INIT_SIZE));
}

// -- loading --

// All of the protected-mode part, which unpacks itself within init_size bytes from
// where it begins. At pref_address it stays there (boot.rst, init_size).
static int load_whole(const struct image *image, struct memory *mem,
		      struct image_placement *placement)
{
	struct image_source bytes = image_bytes(image);
	uint64_t skip = setup_bytes(image), size_bytes = image->size_bytes - skip;
	uint64_t start = image->text_offset;
	uint8_t *host = image_room(image, mem, start, image->memory_bytes);
	int rc = host ? image_source_read(&bytes, skip, host, size_bytes) : -ENOSPC;

	if (rc)
		return rc;
	image_clear(mem, start + size_bytes, image->memory_bytes - size_bytes);
	memory_mark_written(mem, start, image->memory_bytes);
	*placement = (struct image_placement){
		.entry_gpa = start + BZ_ENTRY_64,
		.start_gpa = start,
		.end_gpa = start + image->memory_bytes,
	};
	return 0;
}

struct payload {
	struct image_source packed; // without the appended size
	const struct image_method *method;
	uint32_t unpacked_bytes; // that size; 0: it does not say
};

// What it is packed by; payload->method NULL: nobody knows.
static int look_at_payload(struct payload *payload)
{
	struct image_source *packed = &payload->packed;
	uint8_t magic[IMAGE_MAGIC_MAX_BYTES], size[BZ_UNPACKED_SIZE_BYTES];
	size_t magic_bytes = MIN(sizeof(magic), packed->size_bytes);
	int rc = image_source_read(packed, 0, magic, magic_bytes);

	if (!rc)
		rc = image_source_read(packed, packed->size_bytes - sizeof(size), size,
				       sizeof(size));
	if (rc)
		return rc;
	payload->unpacked_bytes = load_le32(size);
	payload->method = image_find_method((struct image_span){ magic, magic_bytes });
	if (payload->method && strcmp(image_method_name(payload->method), "gzip") != 0)
		packed->size_bytes -= sizeof(size);
	return 0;
}

static int find_payload(const struct image *image, struct payload *payload)
{
	struct image_source bytes = image_bytes(image);
	uint64_t offset = load_le32(image->head + BZ_PAYLOAD_OFFSET);
	uint64_t length = load_le32(image->head + BZ_PAYLOAD_LENGTH);

	*payload = (struct payload){
		.packed = image_source_part(&bytes, setup_bytes(image) + offset, length),
	};
	if (!offset || payload->packed.size_bytes < BZ_UNPACKED_SIZE_BYTES)
		return 0;
	return look_at_payload(payload);
}

static int check_elf(struct image *elf)
{
	int rc;

	if (!image_has_bytes(elf, 0, "\177ELF", 4))
		return fail_msg(EINVAL, "%s: what is packed in this bzImage is not an ELF file",
				elf->path);
	rc = image_elf_parse(elf);
	if (!rc && elf->arch != IMAGE_ARCH_X86_64)
		return fail_msg(EINVAL, "%s: what is packed in this bzImage is for %s", elf->path,
				image_arch_name(elf->arch));
	return rc;
}

static int load_elf(const struct image *image, const uint8_t *data, size_t size_bytes,
		    struct memory *mem, uint64_t ram_base, struct image_placement *placement)
{
	struct image elf = image_of_bytes(image, data, size_bytes);
	int rc = check_elf(&elf);

	return rc ? rc : image_elf_load(&elf, mem, ram_base, placement);
}

// By way of memory of ours.
static int load_unpacked(const struct image *image, const struct payload *payload,
			 struct memory *mem, uint64_t ram_base, struct image_placement *placement)
{
	uint8_t *data;
	size_t size_bytes;
	int rc = image_unpack(payload->method, &payload->packed, payload->unpacked_bytes, &data,
			      &size_bytes);

	if (rc)
		return rc;
	rc = load_elf(image, data, size_bytes, mem, ram_base, placement);
	free(data);
	return rc;
}

// Segments that are in each other's way move by way of memory of ours.
static int load_from_copy(const struct image *image, struct image_room room, struct memory *mem,
			  uint64_t ram_base, struct image_placement *placement)
{
	uint8_t *copy = malloc(room.size_bytes);
	int rc;

	if (!copy)
		return fail(ENOMEM, "%s: copy %llu MiB", image->path, room.size_bytes / MIB);
	memcpy(copy, room.data, room.size_bytes);
	memset(room.data, 0, room.size_bytes);
	rc = load_elf(image, copy, room.size_bytes, mem, ram_base, placement);
	free(copy);
	return rc;
}

// The linker puts the first segment, which goes to pref_address, at the file's second
// 2 MiB: from there the file begins. Of a kernel that is otherwise more has to be moved.
static uint64_t file_place(const struct image *image)
{
	return image->text_offset - IMAGE_ALIGN_BYTES;
}

static int load_in_place(const struct image *image, const struct payload *payload,
			 struct memory *mem, uint64_t ram_base, struct image_placement *placement)
{
	uint64_t gpa = file_place(image);
	// One byte more than it should need, so that it shows when there is too much.
	struct image_room room = { .size_bytes = (uint64_t)payload->unpacked_bytes + 1 };
	struct image elf;
	size_t size_bytes;
	int rc;

	room.data = memory_ptr(mem, gpa, room.size_bytes);
	rc = image_unpack_into(payload->method, &payload->packed, payload->unpacked_bytes, room,
			       &size_bytes);
	if (rc)
		return rc;
	room.data[size_bytes] = 0;
	room.size_bytes = size_bytes;
	elf = image_of_bytes(image, room.data, size_bytes);
	rc = check_elf(&elf);
	if (!rc)
		rc = image_elf_settle(&elf, gpa, mem, ram_base, placement);
	if (rc == -EXDEV)
		rc = load_from_copy(image, room, mem, ram_base, placement);
	return rc;
}

int image_bzimage_load(const struct image *image, struct memory *mem, uint64_t ram_base,
		       struct image_placement *placement)
{
	struct payload payload;
	int rc = find_payload(image, &payload);

	if (rc)
		return rc;
	if (!payload.method || image_method_missing(payload.method)) {
		debug("%s: unpacks itself", image->path);
		return load_whole(image, mem, placement);
	}
	if (payload.unpacked_bytes &&
	    memory_ptr(mem, file_place(image), (uint64_t)payload.unpacked_bytes + 1))
		return load_in_place(image, &payload, mem, ram_base, placement);
	return load_unpacked(image, &payload, mem, ram_base, placement);
}

int image_bzimage_unpack(const struct image *image, uint8_t **data, size_t *size_bytes)
{
	struct payload payload;
	int rc = find_payload(image, &payload);

	if (rc)
		return rc;
	if (!payload.method)
		return fail_msg(ENOTSUP, "%s: is packed by a method that is not known",
				image->path);
	return image_unpack(payload.method, &payload.packed, payload.unpacked_bytes, data,
			    size_bytes);
}
