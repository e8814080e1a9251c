// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of core/image share: byte order, limits, one function a format.
#ifndef KVIK_IMAGE_INTERNAL_H
#define KVIK_IMAGE_INTERNAL_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "image.h"
#include "util.h"

// Kernels with all of Linux built in stay below half of this, BSS included. It
// bounds what a file of a few bytes can make us unpack, reserve or clear.
#define IMAGE_MAX_BYTES (1 * GIB)

// Where a kernel goes that does not say: the first 2 MiB boundary above the start
// of RAM, as the RISC-V Image header of Linux asks for.
#define IMAGE_ALIGN_BYTES (2 * MIB)

static inline uint16_t image_le16(const uint8_t *data)
{
	uint16_t value;

	memcpy(&value, data, sizeof(value));
	return le16toh(value);
}

static inline uint32_t image_le32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return le32toh(value);
}

static inline uint64_t image_le64(const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return le64toh(value);
}

// Bytes that belong to somebody else.
struct image_span {
	const uint8_t *data;
	size_t size_bytes;
};

static inline bool image_has_bytes(const struct image *image, size_t offset, const void *bytes,
				   size_t count)
{
	return offset + count <= image->size_bytes && !memcmp(image->data + offset, bytes, count);
}

// -- image-read.c --

// Read the file @fd, which image_open_file() has opened: its first bytes, at most
// @room_bytes; or all of it, at most @max_bytes, into memory the caller frees.
// @path is for messages. Return 0 or -errno after a message.
int image_read_head(const char *path, int fd, uint8_t *data, size_t room_bytes, size_t *size_bytes)
	MUST_CHECK;
int image_read_all(const char *path, int fd, uint64_t max_bytes, uint8_t **data, size_t *size_bytes)
	MUST_CHECK;

// -- image-wrapper.c, image-unpack.c --

struct image_wrapper {
	bool (*match)(const struct image *image);
	// Unpacks image->data into fresh memory and sets image->wrapper. Returns 0 or
	// -errno after a message.
	int (*unpack)(struct image *image, uint8_t **data, size_t *size_bytes);
};

// The outermost one around the kernel, or NULL.
const struct image_wrapper *image_find_wrapper(const struct image *image);

struct image_method;

// How @packed is packed, by its first bytes; NULL: not at all, or nobody knows.
const struct image_method *image_find_method(struct image_span packed);
// The same by what an EFI zboot header calls it.
const struct image_method *image_find_zboot_method(const char *compression);
const char *image_method_name(const struct image_method *method);       // "gzip"
const char *image_method_zboot_name(const struct image_method *method); // "zboot gzip"
// The library that this kvik was built without and would need, or NULL.
const char *image_method_missing(const struct image_method *method);

// Unpacks @packed into memory the caller frees; @expected_bytes is what it says that it
// unpacks to, or 0. @name is for messages. Returns 0 or -errno after a message;
// -ENOTSUP when the library is missing.
int image_unpack(const struct image_method *method, const char *name, struct image_span packed,
		 size_t expected_bytes, uint8_t **data, size_t *size_bytes) MUST_CHECK;

// -- image-format.c, image-elf.c, image-bzimage.c, image-pe.c --

struct image_format {
	enum image_kind kind;
	enum image_arch arch; // parse() may know better
	bool (*match)(const struct image *image);
	// Checks image->data and fills in what is known of its kind. As image_parse().
	int (*parse)(struct image *image);
};

const struct image_format *image_find_format(const struct image *image);

// Check image->data, an ELF file, and fill in arch and footprint; copy its
// segments into RAM. As image_parse() and image_load().
int image_elf_parse(struct image *image) MUST_CHECK;
int image_elf_load(const struct image *image, struct memory *mem, uint64_t ram_base,
		   struct image_placement *placement) MUST_CHECK;

// image-note.c: looks through the notes of @image, an x86-64 ELF file, in the program
// header at [@offset, @offset + @size_bytes), which need not lie within the file.
struct image_notes {
	bool is_linux;      // it is a Linux kernel
	bool has_pvh_entry; // Xen's note of a 32-bit entry point is there
	uint32_t pvh_entry; // physical
};
void image_read_notes(const struct image *image, uint64_t offset, uint64_t size_bytes,
		      struct image_notes *notes);

// The same for a bzImage.
bool image_is_bzimage(const struct image *image);
int image_bzimage_parse(struct image *image) MUST_CHECK;
int image_bzimage_load(const struct image *image, struct memory *mem, uint64_t ram_base,
		       struct image_placement *placement) MUST_CHECK;

// For their parsers: the file ends within @what header; the footprint, where
// @memory_bytes is what a header says of itself and 0 means the size of the file.
int image_header_truncated(const struct image *image, const char *what);
int image_set_footprint(struct image *image, uint64_t text_offset, uint64_t memory_bytes)
	MUST_CHECK;

// -EINVAL after a message when the file ends before its EFI header says; 0 also for
// a file without one.
int image_check_pe(const struct image *image) MUST_CHECK;

// -- image.c --

// Host pointer to all of [@gpa, @gpa + @len) or NULL after a message that says how
// much RAM would help.
void *image_room(const struct image *image, const struct memory *mem, uint64_t gpa, uint64_t len);

#endif
