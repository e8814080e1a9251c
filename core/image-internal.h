// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of core/image share: limits, one function a format.
#ifndef KVIK_IMAGE_INTERNAL_H
#define KVIK_IMAGE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "image.h"
#include "util.h"

// Kernels with all of Linux built in stay below half of this, BSS included. It
// bounds what a file of a few bytes can make us unpack, reserve or clear.
#define IMAGE_MAX_BYTES (1 * GIB)

// Where a kernel goes that does not say: the first 2 MiB boundary above the start
// of RAM, as the RISC-V Image header of Linux asks for.
#define IMAGE_ALIGN_BYTES (2 * MIB)

// Bytes that belong to somebody else.
struct image_span {
	const uint8_t *data;
	size_t size_bytes;
};

static inline bool image_has_bytes(const struct image *image, size_t offset, const void *bytes,
				   size_t count)
{
	return offset + count <= image->head_bytes && !memcmp(image->head + offset, bytes, count);
}

// -- image-read.c --

// Of a regular file that is not empty. @path is for messages. Returns 0 or -errno after a
// message.
int image_file_size(const char *path, int fd, uint64_t *size_bytes) MUST_CHECK;

// -- image-source.c --

// Bytes of a file from @offset on; or, where @data is not NULL, in memory.
struct image_source {
	const char *path; // for messages
	int fd;
	uint64_t offset;
	const uint8_t *data;
	uint64_t size_bytes;
};

// Copies from [@offset, @offset + @size_bytes). Returns 0, or -errno after a message,
// also when that is not all there.
int image_source_read(const struct image_source *source, uint64_t offset, void *data,
		      size_t size_bytes) MUST_CHECK;
// As much of [@offset, @offset + @size_bytes) as there is.
struct image_source image_source_part(const struct image_source *source, uint64_t offset,
				      uint64_t size_bytes);

// The same from beginning to end, a piece at a time.
struct image_input {
	struct image_source source;
	const uint8_t *next; // @left_bytes of input are here
	size_t left_bytes;
	uint64_t taken_bytes; // from the source, so far
	uint8_t *buffer;
	size_t buffer_bytes;
};

void image_input_init(struct image_input *in, const struct image_source *source);
void image_input_exit(struct image_input *in);
// Makes at least @bytes lie at in->next; fewer only where the source ends. Returns 0 or
// -errno after a message.
int image_input_need(struct image_input *in, size_t bytes) MUST_CHECK;
// The next @bytes, at most in->left_bytes, are used up.
void image_input_skip(struct image_input *in, size_t bytes);
uint64_t image_input_used(const struct image_input *in);

// -- image-wrapper.c, image-unpack.c --

struct image_method;

// Where something is unpacked to.
struct image_room {
	uint8_t *data;
	uint64_t size_bytes;
};

// A packed kernel: by what, and where in image_bytes() it lies.
struct image_packed {
	const struct image_method *method;
	uint64_t offset;
	uint64_t size_bytes;
};

struct image_wrapper {
	bool (*match)(const struct image *image);
	// Finds what is packed in the image and sets image->wrapper. Returns 0 or -errno
	// after a message.
	int (*open)(struct image *image, struct image_packed *packed);
};

// The outermost one around the kernel, or NULL.
const struct image_wrapper *image_find_wrapper(const struct image *image);

// How @packed is packed, by its first bytes; NULL: not at all, or nobody knows.
const struct image_method *image_find_method(struct image_span packed);
// What image_find_method() looks at.
#define IMAGE_MAGIC_MAX_BYTES 16
// The same by what an EFI zboot header calls it.
const struct image_method *image_find_zboot_method(const char *compression);
const char *image_method_name(const struct image_method *method);       // "gzip"
const char *image_method_zboot_name(const struct image_method *method); // "zboot gzip"
// The library that this kvik was built without and would need, or NULL.
const char *image_method_missing(const struct image_method *method);

// Unpack @packed: all of it into memory the caller frees; all of it to @room; or its first
// bytes, which may be all, to @head. @expected_bytes is what it says that it unpacks to,
// or 0. Return 0 or -errno after a message; -ENOTSUP when the library is missing, -ENOSPC
// when there is too little room.
int image_unpack(const struct image_method *method, const struct image_source *packed,
		 size_t expected_bytes, uint8_t **data, size_t *size_bytes) MUST_CHECK;
int image_unpack_into(const struct image_method *method, const struct image_source *packed,
		      size_t expected_bytes, struct image_room room, size_t *size_bytes) MUST_CHECK;
int image_unpack_head(const struct image_method *method, const struct image_source *packed,
		      uint8_t *head, size_t room_bytes, size_t *size_bytes) MUST_CHECK;

// -- image-format.c, image-elf.c, image-bzimage.c, image-pe.c --

struct image_format {
	enum image_kind kind;
	enum image_arch arch; // parse() may know better
	bool (*match)(const struct image *image);
	// Checks image->head and fills in what is known of its kind. As image_parse(). The
	// formats that lie in RAM as in the file are parsed twice if packed: before they are
	// unpacked, when image->size_bytes is unknown, and then.
	int (*parse)(struct image *image);
	bool flat; // lies in RAM as in the file
};

const struct image_format *image_find_format(const struct image *image);

// Check an ELF file and fill in arch and footprint; load its segments into RAM. As
// image_parse() and image_load(). The file is not packed.
int image_elf_parse(struct image *image) MUST_CHECK;
int image_elf_load(const struct image *image, struct memory *mem, uint64_t ram_base,
		   struct image_placement *placement) MUST_CHECK;

// Loads @image, an ELF file that lies in RAM itself, at @gpa: its segments are moved to
// where they belong, and nothing of the rest stays. -EXDEV, without a message and with
// nothing changed, when they are in each other's way.
int image_elf_settle(const struct image *image, uint64_t gpa, struct memory *mem, uint64_t ram_base,
		     struct image_placement *placement) MUST_CHECK;

// image-note.c: looks through notes of an x86-64 ELF file.
struct image_notes {
	bool is_linux;      // it is a Linux kernel
	bool has_pvh_entry; // Xen's note of a 32-bit entry point is there
	uint32_t pvh_entry; // physical
};
void image_read_notes(struct image_span notes, struct image_notes *found);

// The same for a bzImage.
bool image_is_bzimage(const struct image *image);
int image_bzimage_parse(struct image *image) MUST_CHECK;
int image_bzimage_load(const struct image *image, struct memory *mem, uint64_t ram_base,
		       struct image_placement *placement) MUST_CHECK;
// As image_unpack_whole().
int image_bzimage_unpack(const struct image *image, uint8_t **data, size_t *size_bytes) MUST_CHECK;

// For their parsers: the file ends within @what header; the footprint, where
// @memory_bytes is what a header says of itself and 0 means the size of the file.
int image_header_truncated(const struct image *image, const char *what);
int image_set_footprint(struct image *image, uint64_t text_offset, uint64_t memory_bytes)
	MUST_CHECK;

// -EINVAL after a message when the file ends before its EFI header says; 0 also for
// a file without one.
int image_check_pe(const struct image *image) MUST_CHECK;

// -- image.c --

// Where the bytes of an image come from; the kernel's own unless it is packed.
struct image_source image_bytes(const struct image *image);

// An image of unpacked bytes in memory, which stay the caller's; only for a parse() or
// load() of a format. @path as in @image.
struct image image_of_bytes(const struct image *image, const uint8_t *data, size_t size_bytes);

// Host pointer to all of [@gpa, @gpa + @len) or NULL after a message that says how
// much RAM would help.
void *image_room(const struct image *image, const struct memory *mem, uint64_t gpa, uint64_t len);

// Makes sure that this is zeroes; it lies in RAM.
void image_clear(struct memory *mem, uint64_t gpa, uint64_t len);

#endif
