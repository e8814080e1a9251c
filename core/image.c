// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel images: recognising what a file is, checking it, laying it into RAM.
//
// A file passes through up to MAX_WRAPPERS unpackers (image-wrapper.c) and then one
// format (image-format.c, image-elf.c). Each is a row in a table: how to recognise
// it, and what to do about it.
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "image-internal.h"
#include "log.h"
#include "memory.h"

// A zboot file may itself be gzipped; nobody packs deeper than that.
#define MAX_WRAPPERS 2

// Holds what every format and wrapper is recognised by.
#define HEAD_BYTES 4096

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

// -- parsing --

static int unwrap(struct image *image, const struct image_wrapper *wrapper)
{
	const char *outer = image->wrapper;
	uint8_t *data;
	size_t size_bytes;
	int rc = wrapper->unpack(image, &data, &size_bytes);

	if (rc)
		return rc;
	free(image->data);
	image->data = data;
	image->size_bytes = size_bytes;
	if (outer)
		image->wrapper = outer;
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

static int parse(struct image *image)
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

// Takes ownership of @data and @fd, also on failure.
static int adopt(struct image *image, const char *name, int fd, uint8_t *data, size_t size_bytes)
{
	int rc;

	*image = (struct image){
		.data = data,
		.size_bytes = size_bytes,
		.path = strdup(name),
		.fd = fd,
	};
	rc = image->path ? parse(image) : -ENOMEM;
	if (rc)
		image_close(image);
	return rc;
}

// Before a gigabyte of something else is read.
static int check_head(const char *path, int fd)
{
	uint8_t data[HEAD_BYTES];
	struct image head = { .data = data, .path = (char *)path };
	int rc = image_read_head(path, fd, data, sizeof(data), &head.size_bytes);

	if (rc || image_find_wrapper(&head) || image_find_format(&head))
		return rc;
	return not_a_kernel(&head);
}

// Takes ownership of @fd, also on failure.
static int read_image(struct image *image, const char *path, int fd)
{
	uint8_t *data;
	size_t size_bytes;
	int rc = check_head(path, fd);

	if (!rc)
		rc = image_read_all(path, fd, IMAGE_MAX_BYTES, &data, &size_bytes);
	if (!rc)
		return adopt(image, path, fd, data, size_bytes);
	close(fd);
	return rc;
}

int image_open(struct image *image, const char *path)
{
	int fd = image_open_file(path);

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

static int load_plain(const struct image *image, struct memory *mem, uint64_t ram_base,
		      struct image_placement *placement)
{
	uint64_t start = ram_base + image->text_offset;
	uint8_t *host = image_room(image, mem, start, image->memory_bytes);

	if (!host)
		return -ENOSPC;
	memcpy(host, image->data, image->size_bytes);
	memset(host + image->size_bytes, 0, image->memory_bytes - image->size_bytes);
	memory_mark_written(mem, start, image->memory_bytes);
	*placement = (struct image_placement){ start, start, start + image->memory_bytes };
	return 0;
}

static int load(const struct image *image, struct memory *mem, uint64_t ram_base,
		struct image_placement *placement)
{
	switch (image->kind) {
	case IMAGE_KIND_RISCV_IMAGE:
	case IMAGE_KIND_ARM64_IMAGE:
	case IMAGE_KIND_ARM_ZIMAGE:
		return load_plain(image, mem, ram_base, placement);
	case IMAGE_KIND_ELF:
		return image_elf_load(image, mem, ram_base, placement);
	default:
		return image_bzimage_load(image, mem, ram_base, placement);
	}
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

	if (image->data)
		return load(image, mem, ram_base, placement);
	rc = read_again(image, &again);
	if (rc)
		return rc;
	rc = load(&again, mem, ram_base, placement);
	image_close(&again);
	return rc;
}
