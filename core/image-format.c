// SPDX-License-Identifier: GPL-2.0-or-later
// The headers of Linux's Image of riscv64 and arm64, and the table of all formats.
#include <errno.h>

#include "image-internal.h"
#include "log.h"

int image_header_truncated(const struct image *image, const char *what)
{
	return fail_msg(EINVAL, "%s: %s header is cut off after %zu bytes; is the file complete?",
			image->path, what, image->head_bytes);
}

int image_set_footprint(struct image *image, uint64_t text_offset, uint64_t memory_bytes)
{
	if (memory_bytes > IMAGE_MAX_BYTES)
		return fail_msg(EINVAL, "%s: its header asks for %llu MiB of memory: not a kernel",
				image->path, (unsigned long long)memory_bytes / MIB);
	image->text_offset = text_offset;
	image->memory_bytes = memory_bytes;
	if (image->size_bytes != IMAGE_SIZE_UNKNOWN)
		image->memory_bytes = MAX(memory_bytes, image->size_bytes);
	return image_check_pe(image);
}

// The header that RISC-V and arm64 share (arm64/booting.rst section 4,
// riscv/boot-image-header.rst): 64 bytes, the second magic in the last eight.
#define IMAGE_HEADER_BYTES 64
#define IMAGE_TEXT_OFFSET 0x08
#define IMAGE_SIZE 0x10
#define IMAGE_FLAGS 0x18
#define IMAGE_VERSION 0x20
#define IMAGE_MAGIC 0x38
#define IMAGE_FLAG_BIG_ENDIAN 1

static bool is_riscv_image(const struct image *image)
{
	return image_has_bytes(image, IMAGE_MAGIC, "RSC\x05", 4);
}

static bool is_arm64_image(const struct image *image)
{
	return image_has_bytes(image, IMAGE_MAGIC, "ARM\x64", 4);
}

static int parse_image_header(struct image *image, uint64_t text_offset)
{
	uint64_t memory_bytes = load_le64(image->head + IMAGE_SIZE);

	if (load_le64(image->head + IMAGE_FLAGS) & IMAGE_FLAG_BIG_ENDIAN)
		return fail_msg(EINVAL, "%s: is a big-endian kernel; build a little-endian one",
				image->path);
	// Far above what any machine has: the check against RAM comes with loading.
	if (text_offset > 1ULL << 48)
		return fail_msg(EINVAL, "%s: its header asks for offset %#llx in RAM: not a kernel",
				image->path, (unsigned long long)text_offset);
	return image_set_footprint(image, text_offset, memory_bytes);
}

static int parse_riscv_image(struct image *image)
{
	uint64_t text_offset;

	if (image->head_bytes < IMAGE_HEADER_BYTES)
		return image_header_truncated(image, "its Image");
	// The layout is fixed by the major version, in the upper half.
	if (load_le32(image->head + IMAGE_VERSION) >> 16)
		return fail_msg(EINVAL, "%s: its Image header has version %u; known are 0.x",
				image->path, load_le32(image->head + IMAGE_VERSION) >> 16);
	// riscv/boot.rst: the kernel must lie at a PMD boundary.
	text_offset = load_le64(image->head + IMAGE_TEXT_OFFSET);
	if (text_offset % IMAGE_ALIGN_BYTES)
		return fail_msg(EINVAL,
				"%s: its header asks for offset %#llx in RAM, which is not a "
				"multiple of 2 MiB",
				image->path, (unsigned long long)text_offset);
	return parse_image_header(image, text_offset);
}

static int parse_arm64_image(struct image *image)
{
	uint64_t text_offset;

	if (image->head_bytes < IMAGE_HEADER_BYTES)
		return image_header_truncated(image, "its Image");
	// Before Linux 3.17 the size was 0 and the offset not to be trusted.
	text_offset = load_le64(image->head + IMAGE_SIZE) ?
			      load_le64(image->head + IMAGE_TEXT_OFFSET) :
			      0x80000;
	return parse_image_header(image, text_offset);
}

static bool is_elf(const struct image *image)
{
	return image_has_bytes(image, 0, "\177ELF", 4);
}

// Linux's arch/arm/boot/compressed/head.S: magic, where it was linked to begin and to
// end.
#define ZIMAGE_MAGIC 0x24
#define ZIMAGE_START 0x28
#define ZIMAGE_END 0x2c
#define ZIMAGE_HEADER_BYTES 0x34

// It unpacks itself to the start of RAM: from here there is room for that below, and it
// need not move out of the way (arm/booting.rst wants it within 128 MiB).
#define ZIMAGE_OFFSET (64 * MIB)
// Its BSS, stack and heap, which are in no header: 64 KiB and a little.
#define ZIMAGE_WORK_BYTES MIB

static bool is_zimage(const struct image *image)
{
	return image_has_bytes(image, ZIMAGE_MAGIC, "\x18\x28\x6f\x01", 4);
}

static int parse_zimage(struct image *image)
{
	uint32_t linked_bytes;
	uint64_t file_bytes;

	if (image->head_bytes < ZIMAGE_HEADER_BYTES)
		return image_header_truncated(image, "its zImage");
	linked_bytes = load_le32(image->head + ZIMAGE_END) - load_le32(image->head + ZIMAGE_START);
	if (linked_bytes > image->size_bytes)
		return fail_msg(EINVAL,
				"%s: is a zImage of %u bytes, but has only %llu; is the file "
				"complete?",
				image->path, linked_bytes, (unsigned long long)image->size_bytes);
	// A device tree may follow it.
	file_bytes = image->size_bytes == IMAGE_SIZE_UNKNOWN ? linked_bytes : image->size_bytes;
	return image_set_footprint(image, ZIMAGE_OFFSET, file_bytes + ZIMAGE_WORK_BYTES);
}

static const struct image_format formats[] = {
	{ IMAGE_KIND_ELF, IMAGE_ARCH_COUNT, is_elf, image_elf_parse, false },
	{ IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64, is_riscv_image, parse_riscv_image, true },
	{ IMAGE_KIND_ARM64_IMAGE, IMAGE_ARCH_ARM64, is_arm64_image, parse_arm64_image, true },
	{ IMAGE_KIND_ARM_ZIMAGE, IMAGE_ARCH_ARM64, is_zimage, parse_zimage, true },
	{ IMAGE_KIND_BZIMAGE, IMAGE_ARCH_X86_64, image_is_bzimage, image_bzimage_parse, false },
};

const struct image_format *image_find_format(const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].match(image))
			return &formats[i];
	return NULL;
}
