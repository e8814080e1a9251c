// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel images: recognising what a file is, checking it, laying it into RAM.
//
// A file passes through up to MAX_WRAPPERS wrappers (image-wrapper.c) and then one
// format (image-format.c, image-elf.c). Each is a row in a table: how to recognise
// it, and what to do about it.
//
// To be opened, a file has only its head read and, if packed, unpacked. All of it is
// read or unpacked when it is loaded, and then right to where it belongs in RAM. What
// that cannot be done with (a wrapper within another one, a packed ELF file) is unpacked
// to memory of ours first.
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "image-internal.h"
#include "log.h"
#include "memory.h"

// A zboot file may itself be gzipped; nobody packs deeper than that.
#define MAX_WRAPPERS 2

static const char *const arch_names[] = {
	[IMAGE_ARCH_RISCV64] = "riscv64",
	[IMAGE_ARCH_ARM64] = "arm64",
	[IMAGE_ARCH_X86_64] = "x86-64",
};
static_assert(ARRAY_SIZE(arch_names) == IMAGE_ARCH_COUNT, "an architecture lacks its name");

const char *image_arch_name(enum image_arch arch)
{
	return arch_names[arch];
}

// What is no kernel, but deserves a better answer than that.
static const struct {
	const char *magic;
	unsigned magic_bytes;
	const char *what;
} strangers[] = {
	{ "BZh", 3, "is packed with bzip2; unpack it with bzip2 -d" },
	{ "\x04\x22\x4d\x18", 4,
	  "is packed with lz4, but not in Linux's form (lz4 -l); unpack it with lz4 -d" },
	{ "\x27\x05\x19\x56", 4, "is a U-Boot uImage; take the kernel it was made from" },
	{ "\xd0\x0d\xfe\xed", 4, "is a device tree or a U-Boot FIT image; take the kernel itself" },
	{ "QFI\xfb", 4, "is a qcow2 disk image; a disk goes with -d" },
	{ "070701", 6, "is a cpio archive; an initrd goes with -i" },
	{ "070702", 6, "is a cpio archive; an initrd goes with -i" },
	{ "MZ", 2, "is an EFI program, but not a Linux kernel" },
	{ "#!", 2, "is a script" },
};

static int not_a_kernel(const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
		if (image_has_bytes(image, 0, strangers[i].magic, strangers[i].magic_bytes))
			return fail_msg(EINVAL, "%s: %s", image->path, strangers[i].what);
	return fail_msg(EINVAL,
			"%s: is not a kernel: no Image, bzImage or ELF file, nor one packed "
			"by gzip, zstd, xz, lzma, lz4, lzop or EFI zboot",
			image->path);
}

// -- bytes --

struct image_source image_bytes(const struct image *image)
{
	return (struct image_source){
		.path = image->path,
		.fd = image->fd,
		.data = image->data,
		.size_bytes = image->data_bytes,
	};
}

static struct image_source packed_bytes(const struct image *image)
{
	struct image_source bytes = image_bytes(image);

	return image_source_part(&bytes, image->packed_offset, image->packed_bytes);
}

struct image image_of_bytes(const struct image *image, const uint8_t *data, size_t size_bytes)
{
	struct image view = {
		.path = image->path,
		.wrapper = image->wrapper,
		.fd = -1,
		.data = (uint8_t *)data, // nobody writes to it
		.data_bytes = size_bytes,
		.size_bytes = size_bytes,
		.head_bytes = MIN(size_bytes, sizeof(view.head)),
	};

	if (size_bytes)
		memcpy(view.head, data, view.head_bytes);
	return view;
}

// Of the bytes that there are now.
static int read_head(struct image *image)
{
	struct image_source bytes = image_bytes(image);

	image->size_bytes = image->data_bytes;
	image->head_bytes = MIN(image->data_bytes, sizeof(image->head));
	return image_source_read(&bytes, 0, image->head, image->head_bytes);
}

// -- parsing --

static int unpack_to_memory(struct image *image, const struct image_packed *packed)
{
	struct image_source bytes = image_bytes(image);
	struct image_source part = image_source_part(&bytes, packed->offset, packed->size_bytes);
	uint8_t *data;
	size_t size_bytes;
	int rc = image_unpack(packed->method, &part, 0, &data, &size_bytes);

	if (rc)
		return rc;
	free(image->data);
	image->data = data;
	image->data_bytes = size_bytes;
	return read_head(image);
}

// Whether its head shows a kernel that can be unpacked right into RAM.
static bool is_flat(const struct image *image)
{
	const struct image_format *format = image_find_format(image);

	return format && format->flat && !image_find_wrapper(image);
}

static int unwrap(struct image *image, const struct image_wrapper *wrapper)
{
	const char *outer = image->wrapper;
	struct image_source bytes = image_bytes(image), part;
	struct image_packed packed;
	int rc = wrapper->open(image, &packed);

	if (rc)
		return rc;
	if (outer)
		image->wrapper = outer;
	part = image_source_part(&bytes, packed.offset, packed.size_bytes);
	rc = image_unpack_head(packed.method, &part, image->head, sizeof(image->head),
			       &image->head_bytes);
	if (rc)
		return rc;
	if (!image_find_wrapper(image) && !image_find_format(image))
		return not_a_kernel(image);
	if (!is_flat(image))
		return unpack_to_memory(image, &packed);
	image->method = packed.method;
	image->packed_offset = packed.offset;
	image->packed_bytes = packed.size_bytes;
	image->size_bytes = IMAGE_SIZE_UNKNOWN;
	return 0;
}

static int parse_format(struct image *image)
{
	const struct image_format *format = image_find_format(image);

	if (!format)
		return not_a_kernel(image);
	image->kind = format->kind;
	image->arch = format->arch;
	return format->parse(image);
}

static int parse_head(struct image *image)
{
	for (unsigned depth = 0; depth <= MAX_WRAPPERS; depth++) {
		const struct image_wrapper *wrapper = image_find_wrapper(image);
		int rc;

		if (!wrapper)
			return parse_format(image);
		rc = depth < MAX_WRAPPERS ? unwrap(image, wrapper) : 0;
		if (rc)
			return rc;
	}
	return fail_msg(EINVAL, "%s: is packed more than %u times", image->path, MAX_WRAPPERS);
}

static int check_size(const struct image *image)
{
	if (image->data_bytes <= IMAGE_MAX_BYTES)
		return 0;
	if (!image_find_wrapper(image) && !image_find_format(image))
		return not_a_kernel(image);
	return fail_msg(EFBIG, "%s: has %llu bytes; at most %llu are taken", image->path,
			(unsigned long long)image->data_bytes, IMAGE_MAX_BYTES);
}

static int parse(struct image *image)
{
	int rc = read_head(image);

	if (!rc)
		rc = check_size(image);
	return rc ? rc : parse_head(image);
}

// Takes ownership of @data and @fd, also on failure.
static int adopt(struct image *image, const char *name, int fd, uint8_t *data, size_t size_bytes)
{
	int rc;

	*image = (struct image){
		.path = strdup(name),
		.fd = fd,
		.data = data,
		.data_bytes = size_bytes,
	};
	if (!image->path) {
		if (fd >= 0)
			close(fd);
		free(data);
		return fail(ENOMEM, "%s", name);
	}
	rc = parse(image);
	if (rc)
		image_close(image);
	return rc;
}

// Takes ownership of @fd, also on failure.
static int read_image(struct image *image, const char *path, int fd)
{
	uint64_t size_bytes;
	int rc = image_file_size(path, fd, &size_bytes);

	if (rc) {
		close(fd);
		return rc;
	}
	return adopt(image, path, fd, NULL, size_bytes);
}

int image_open(struct image *image, const char *path)
{
	int fd = image_open_file("kernel", path);

	return fd < 0 ? fd : read_image(image, path, fd);
}

int image_parse(struct image *image, const char *name, const void *data, size_t size_bytes)
{
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);

	if (!copy)
		return fail(ENOMEM, "%s: copy %zu bytes", name, size_bytes);
	if (size_bytes)
		memcpy(copy, data, size_bytes);
	return adopt(image, name, -1, copy, size_bytes);
}

void image_unload(struct image *image)
{
	if (image->fd < 0)
		return;
	free(image->data);
	image->data = NULL;
	image->head_bytes = 0;
	// What unpacking took stays in the heap otherwise.
	malloc_trim(0);
}

void image_close(struct image *image)
{
	// One that was never opened is all zeroes.
	if (image->path && image->fd >= 0)
		close(image->fd);
	free(image->data);
	free(image->path);
	*image = (struct image){ 0 };
}

// -- loading --

void *image_room(const struct image *image, const struct memory *mem, uint64_t gpa, uint64_t len)
{
	void *host = memory_ptr(mem, gpa, len);

	if (!host)
		fail_msg(ENOSPC,
			 "%s: needs %llu MiB of RAM at %#llx; the VM has %llu MiB: "
			 "give it more with -m",
			 image->path, (unsigned long long)((len + MIB - 1) / MIB),
			 (unsigned long long)gpa,
			 (unsigned long long)(memory_total_bytes(mem) / MIB));
	return host;
}

void image_clear(struct memory *mem, uint64_t gpa, uint64_t len)
{
	if (!mem->fresh)
		memset(memory_ptr(mem, gpa, len), 0, len);
}

// From @gpa to the end of its bank.
static struct image_room room_from(const struct memory *mem, uint64_t gpa)
{
	for (unsigned i = 0; i < mem->bank_count; i++) {
		const struct memory_bank *bank = &mem->banks[i];
		uint64_t offset = gpa - bank->base_gpa;

		if (offset < bank->size_bytes)
			return (struct image_room){ bank->host + offset,
						    bank->size_bytes - offset };
	}
	return (struct image_room){ 0 };
}

// What is known of it only now that it is unpacked.
static int check_unpacked(const struct image *image, const uint8_t *data, size_t size_bytes,
			  uint64_t *memory_bytes)
{
	struct image unpacked = image_of_bytes(image, data, size_bytes);
	int rc = parse_format(&unpacked);

	if (!rc && (unpacked.kind != image->kind || unpacked.text_offset != image->text_offset))
		return fail_msg(EINVAL, "%s: has changed while it was read", image->path);
	*memory_bytes = unpacked.memory_bytes;
	return rc;
}

// Returns its sizes in the file, unpacked, and in memory.
static int unpack_flat(const struct image *image, const struct memory *mem, uint64_t start,
		       size_t *size_bytes, uint64_t *memory_bytes)
{
	struct image_source packed = packed_bytes(image);
	struct image_room room = room_from(mem, start);
	int rc;

	if (!image_room(image, mem, start, image->memory_bytes))
		return -ENOSPC;
	rc = image_unpack_into(image->method, &packed, 0, room, size_bytes);
	return rc ? rc : check_unpacked(image, room.data, *size_bytes, memory_bytes);
}

static int read_flat(const struct image *image, const struct memory *mem, uint64_t start,
		     size_t *size_bytes, uint64_t *memory_bytes)
{
	struct image_source bytes = image_bytes(image);
	uint8_t *host = image_room(image, mem, start, image->memory_bytes);

	*size_bytes = image->size_bytes;
	*memory_bytes = image->memory_bytes;
	return host ? image_source_read(&bytes, 0, host, *size_bytes) : -ENOSPC;
}

static int load_flat(const struct image *image, struct memory *mem, uint64_t ram_base,
		     struct image_placement *placement)
{
	uint64_t start = ram_base + image->text_offset, memory_bytes;
	size_t size_bytes;
	int rc = image->method ? unpack_flat(image, mem, start, &size_bytes, &memory_bytes) :
				 read_flat(image, mem, start, &size_bytes, &memory_bytes);

	if (rc)
		return rc;
	if (!image_room(image, mem, start, memory_bytes))
		return -ENOSPC;
	if (image->method) // which may have written somewhat further than it says
		memset(memory_ptr(mem, start, memory_bytes) + size_bytes, 0,
		       memory_bytes - size_bytes);
	else
		image_clear(mem, start + size_bytes, memory_bytes - size_bytes);
	memory_mark_written(mem, start, memory_bytes);
	*placement = (struct image_placement){ start, start, start + memory_bytes };
	return 0;
}

static int load(const struct image *image, struct memory *mem, uint64_t ram_base,
		struct image_placement *placement)
{
	switch (image->kind) {
	case IMAGE_KIND_RISCV_IMAGE:
	case IMAGE_KIND_ARM64_IMAGE:
	case IMAGE_KIND_ARM_ZIMAGE:
		return load_flat(image, mem, ram_base, placement);
	case IMAGE_KIND_ELF:
		return image_elf_load(image, mem, ram_base, placement);
	default:
		return image_bzimage_load(image, mem, ram_base, placement);
	}
}

static int copy_whole(const struct image *image, uint8_t **data, size_t *size_bytes)
{
	struct image_source bytes = image_bytes(image);
	uint8_t *copy = malloc(bytes.size_bytes);
	int rc;

	if (!copy)
		return fail(ENOMEM, "%s: copy %llu MiB", image->path,
			    (unsigned long long)(bytes.size_bytes / MIB));
	rc = image_source_read(&bytes, 0, copy, bytes.size_bytes);
	if (rc) {
		free(copy);
		return rc;
	}
	*data = copy;
	*size_bytes = bytes.size_bytes;
	return 0;
}

int image_unpack_whole(const struct image *image, uint8_t **data, size_t *size_bytes)
{
	struct image_source packed = packed_bytes(image);

	if (image->kind == IMAGE_KIND_BZIMAGE)
		return image_bzimage_unpack(image, data, size_bytes);
	if (image->method)
		return image_unpack(image->method, &packed, 0, data, size_bytes);
	return copy_whole(image, data, size_bytes);
}

// The file is open still, so this is the same one, unless it was written to.
static int read_again(const struct image *image, struct image *again)
{
	int fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return fail(errno, "%s: read again", image->path);
	rc = read_image(again, image->path, fd);
	if (rc || again->arch == image->arch)
		return rc;
	image_close(again);
	return fail_msg(EINVAL, "%s: has become a kernel for another architecture", image->path);
}

int image_load(const struct image *image, struct memory *mem, uint64_t ram_base,
	       struct image_placement *placement)
{
	struct image again;
	int rc;

	if (image->head_bytes)
		return load(image, mem, ram_base, placement);
	rc = read_again(image, &again);
	if (rc)
		return rc;
	rc = load(&again, mem, ram_base, placement);
	image_close(&again);
	return rc;
}
