// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel images: recognising what a file is, checking it, laying it into RAM.
//
// A file passes through up to MAX_WRAPPERS unpackers and then one format. Each is
// a row in a table: the bytes it starts with, and what to do about them.
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

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

static bool bytes_at(const struct image *image, size_t offset, const void *bytes, size_t count)
{
	return offset + count <= image->size_bytes && !memcmp(image->data + offset, bytes, count);
}

// -- formats --

static int truncated(const struct image *image, const char *what)
{
	return fail_msg(EINVAL, "%s: %s header is cut off after %zu bytes; is the file complete?",
			image->path, what, image->size_bytes);
}

// @memory_bytes is what a header says of itself; 0 means the size of the file.
static int set_footprint(struct image *image, uint64_t text_offset, uint64_t memory_bytes)
{
	if (memory_bytes > IMAGE_MAX_BYTES)
		return fail_msg(EINVAL, "%s: its header asks for %llu MiB of memory: not a kernel",
				image->path, (unsigned long long)memory_bytes / MIB);
	image->text_offset = text_offset;
	image->memory_bytes = MAX(memory_bytes, (uint64_t)image->size_bytes);
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
	return bytes_at(image, IMAGE_MAGIC, "RSC\x05", 4);
}

static bool is_arm64_image(const struct image *image)
{
	return bytes_at(image, IMAGE_MAGIC, "ARM\x64", 4);
}

static int parse_image_header(struct image *image, uint64_t text_offset)
{
	uint64_t memory_bytes = image_le64(image->data + IMAGE_SIZE);

	if (image_le64(image->data + IMAGE_FLAGS) & IMAGE_FLAG_BIG_ENDIAN)
		return fail_msg(EINVAL, "%s: is a big-endian kernel; build a little-endian one",
				image->path);
	// Far above what any machine has: the check against RAM comes with loading.
	if (text_offset > 1ULL << 48)
		return fail_msg(EINVAL, "%s: its header asks for offset %#llx in RAM: not a kernel",
				image->path, (unsigned long long)text_offset);
	return set_footprint(image, text_offset, memory_bytes);
}

static int parse_riscv_image(struct image *image)
{
	uint64_t text_offset;

	if (image->size_bytes < IMAGE_HEADER_BYTES)
		return truncated(image, "its Image");
	// The layout is fixed by the major version, in the upper half.
	if (image_le32(image->data + IMAGE_VERSION) >> 16)
		return fail_msg(EINVAL, "%s: its Image header has version %u; known are 0.x",
				image->path, image_le32(image->data + IMAGE_VERSION) >> 16);
	// riscv/boot.rst: the kernel must lie at a PMD boundary.
	text_offset = image_le64(image->data + IMAGE_TEXT_OFFSET);
	if (text_offset % IMAGE_ALIGN_BYTES)
		return fail_msg(EINVAL, "%s: its header asks for offset %#llx in RAM, which is not a multiple of 2 MiB",
				image->path, (unsigned long long)text_offset);
	return parse_image_header(image, text_offset);
}

static int parse_arm64_image(struct image *image)
{
	uint64_t text_offset;

	if (image->size_bytes < IMAGE_HEADER_BYTES)
		return truncated(image, "its Image");
	// Before Linux 3.17 the size was 0 and the offset not to be trusted.
	text_offset = image_le64(image->data + IMAGE_SIZE) ?
			      image_le64(image->data + IMAGE_TEXT_OFFSET) : 0x80000;
	return parse_image_header(image, text_offset);
}

// The setup header of x86/boot.rst.
#define BZ_SETUP_SECTS 0x1f1
#define BZ_BOOT_FLAG 0x1fe
#define BZ_HEADER 0x202
#define BZ_VERSION 0x206
#define BZ_XLOADFLAGS 0x236
#define BZ_CMDLINE_SIZE 0x238
#define BZ_INIT_SIZE 0x260
#define BZ_HEADER_END 0x264
#define BZ_XLF_KERNEL_64 1

static bool is_bzimage(const struct image *image)
{
	return bytes_at(image, BZ_BOOT_FLAG, "\x55\xaa", 2) &&
	       bytes_at(image, BZ_HEADER, "HdrS", 4);
}

static int parse_bzimage(struct image *image)
{
	unsigned setup_sectors, version;

	if (image->size_bytes < BZ_HEADER_END)
		return truncated(image, "its bzImage");
	version = image_le16(image->data + BZ_VERSION);
	if (version < 0x20c)
		return fail_msg(EINVAL, "%s: is a bzImage of boot protocol %u.%02u; 2.12 (Linux 3.8) is needed",
				image->path, version >> 8, version & 0xff);
	if (!(image_le16(image->data + BZ_XLOADFLAGS) & BZ_XLF_KERNEL_64))
		return fail_msg(EINVAL, "%s: is a 32-bit x86 kernel; build a 64-bit one",
				image->path);
	// 0 stands for 4, for the sake of old boot loaders.
	setup_sectors = image->data[BZ_SETUP_SECTS] ? image->data[BZ_SETUP_SECTS] : 4;
	if ((setup_sectors + 1) * 512 >= image->size_bytes)
		return fail_msg(EINVAL, "%s: has no kernel after its %u setup sectors; is the file complete?",
				image->path, setup_sectors);
	if (!image_le32(image->data + BZ_CMDLINE_SIZE))
		return fail_msg(EINVAL, "%s: its header allows no command line: not a kernel",
				image->path);
	image->arch = IMAGE_ARCH_X86_64;
	return set_footprint(image, 0, image_le32(image->data + BZ_INIT_SIZE));
}

static bool is_elf(const struct image *image)
{
	return bytes_at(image, 0, "\177ELF", 4);
}

struct image_format {
	enum image_kind kind;
	enum image_arch arch; // parse() may know better
	bool (*match)(const struct image *image);
	int (*parse)(struct image *image);
};

static const struct image_format formats[] = {
	{ IMAGE_KIND_ELF, IMAGE_ARCH_COUNT, is_elf, image_elf_parse },
	{ IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64, is_riscv_image, parse_riscv_image },
	{ IMAGE_KIND_ARM64_IMAGE, IMAGE_ARCH_ARM64, is_arm64_image, parse_arm64_image },
	{ IMAGE_KIND_BZIMAGE, IMAGE_ARCH_X86_64, is_bzimage, parse_bzimage },
};

// -- wrappers --

// Linux's drivers/firmware/efi/libstub/zboot-header.S: "MZ", "zimg" at 4, where the
// payload lies and how long it is, and the compression's name.
#define ZBOOT_OFFSET 0x08
#define ZBOOT_SIZE 0x0c
#define ZBOOT_COMPRESSION 0x18
#define ZBOOT_COMPRESSION_BYTES 0x20

static bool is_zboot(const struct image *image)
{
	return bytes_at(image, 0, "MZ", 2) && bytes_at(image, 4, "zimg", 4);
}

static bool is_gzip(const struct image *image)
{
	return bytes_at(image, 0, "\x1f\x8b\x08", 3);
}

static bool is_zstd(const struct image *image)
{
	return bytes_at(image, 0, "\x28\xb5\x2f\xfd", 4);
}

// Unpacks into fresh memory; sets image->wrapper.
static int unpack_gzip(struct image *image, uint8_t **data, size_t *size_bytes)
{
	struct image_span packed = { image->data, image->size_bytes };

	image->wrapper = "gzip";
	return image_unpack_gzip(image->path, packed, data, size_bytes);
}

static int unpack_zstd(struct image *image, uint8_t **data, size_t *size_bytes)
{
	struct image_span packed = { image->data, image->size_bytes };

	image->wrapper = "zstd";
	return image_unpack_zstd(image->path, packed, data, size_bytes);
}

static const struct {
	const char *compression; // as in the header; a prefix: "zstd22" is zstd too
	const char *wrapper;
	int (*unpack)(const char *name, struct image_span packed, uint8_t **data,
		      size_t *size_bytes);
} zboot_methods[] = {
	{ "gzip", "zboot gzip", image_unpack_gzip },
	{ "zstd", "zboot zstd", image_unpack_zstd },
};

static int zboot_payload(const struct image *image, struct image_span *payload)
{
	uint64_t offset = image_le32(image->data + ZBOOT_OFFSET);
	uint64_t size_bytes = image_le32(image->data + ZBOOT_SIZE);

	if (!size_bytes || offset + size_bytes > image->size_bytes)
		return fail_msg(EINVAL, "%s: its EFI zboot payload (%llu bytes at %#llx) goes beyond the file's %zu bytes; is it complete?",
				image->path, (unsigned long long)size_bytes,
				(unsigned long long)offset, image->size_bytes);
	*payload = (struct image_span){ image->data + offset, size_bytes };
	return 0;
}

static int unpack_zboot(struct image *image, uint8_t **data, size_t *size_bytes)
{
	char compression[ZBOOT_COMPRESSION_BYTES + 1] = "";
	struct image_span payload;
	int rc;

	if (image->size_bytes < ZBOOT_COMPRESSION + ZBOOT_COMPRESSION_BYTES)
		return truncated(image, "its EFI zboot");
	memcpy(compression, image->data + ZBOOT_COMPRESSION, ZBOOT_COMPRESSION_BYTES);
	rc = zboot_payload(image, &payload);
	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(zboot_methods); i++) {
		const char *name = zboot_methods[i].compression;

		if (strncmp(compression, name, strlen(name)))
			continue;
		image->wrapper = zboot_methods[i].wrapper;
		return zboot_methods[i].unpack(image->path, payload, data, size_bytes);
	}
	for (char *c = compression; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return fail_msg(ENOTSUP, "%s: is an EFI zboot kernel packed with '%s'; gzip and zstd can be unpacked",
			image->path, compression);
}

struct image_wrapper {
	bool (*match)(const struct image *image);
	int (*unpack)(struct image *image, uint8_t **data, size_t *size_bytes);
};

static const struct image_wrapper wrappers[] = {
	{ is_zboot, unpack_zboot }, // before the formats: it may carry their magic at 0x38
	{ is_gzip, unpack_gzip },
	{ is_zstd, unpack_zstd },
};

// -- what is no kernel, but deserves a better answer than that --

static const struct {
	const char *magic;
	unsigned magic_bytes;
	const char *what;
} strangers[] = {
	{ "\xfd" "7zXZ", 6, "is packed with xz; unpack it with xz -d" },
	{ "BZh", 3, "is packed with bzip2; unpack it with bzip2 -d" },
	{ "\x04\x22\x4d\x18", 4, "is packed with lz4; unpack it with lz4 -d" },
	{ "\x02\x21\x4c\x18", 4, "is packed with lz4; unpack it with lz4 -d" },
	{ "\x89LZO", 4, "is packed with lzop; unpack it with lzop -d" },
	{ "\x5d\x00\x00", 3, "is packed with lzma; unpack it with xz -d --format=lzma" },
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
		if (bytes_at(image, 0, strangers[i].magic, strangers[i].magic_bytes))
			return fail_msg(EINVAL, "%s: %s", image->path, strangers[i].what);
	return fail_msg(EINVAL, "%s: is not a kernel: no Image, bzImage or ELF file, nor one packed by gzip, zstd or EFI zboot",
			image->path);
}

// -- putting it together --

static const struct image_wrapper *find_wrapper(const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++)
		if (wrappers[i].match(image))
			return &wrappers[i];
	return NULL;
}

static const struct image_format *find_format(const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].match(image))
			return &formats[i];
	return NULL;
}

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
	const struct image_format *format = find_format(image);

	if (!format)
		return not_a_kernel(image);
	image->kind = format->kind;
	image->arch = format->arch;
	return format->parse(image);
}

static int parse(struct image *image)
{
	for (unsigned depth = 0; depth <= MAX_WRAPPERS; depth++) {
		const struct image_wrapper *wrapper = find_wrapper(image);
		int rc;

		if (!wrapper)
			return parse_format(image);
		rc = depth < MAX_WRAPPERS ? unwrap(image, wrapper) : 0;
		if (rc)
			return rc;
	}
	return fail_msg(EINVAL, "%s: is packed more than %u times", image->path, MAX_WRAPPERS);
}

// Takes ownership of @data.
static int adopt(struct image *image, const char *name, uint8_t *data, size_t size_bytes)
{
	int rc;

	*image = (struct image){ .data = data, .size_bytes = size_bytes, .path = strdup(name) };
	rc = image->path ? parse(image) : -ENOMEM;
	if (rc)
		image_close(image);
	return rc;
}

// Before a gigabyte of something else is read.
static int check_head(const char *path)
{
	uint8_t data[HEAD_BYTES];
	struct image head = { .data = data, .path = (char *)path };
	int rc = image_read_head(path, data, sizeof(data), &head.size_bytes);

	if (rc || find_wrapper(&head) || find_format(&head))
		return rc;
	return not_a_kernel(&head);
}

int image_open(struct image *image, const char *path)
{
	uint8_t *data;
	size_t size_bytes;
	int rc = check_head(path);

	if (!rc)
		rc = image_read_file(path, IMAGE_MAX_BYTES, &data, &size_bytes);
	return rc ? rc : adopt(image, path, data, size_bytes);
}

int image_parse(struct image *image, const char *name, const void *data, size_t size_bytes)
{
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);

	if (!copy)
		return fail(ENOMEM, "%s: copy %zu bytes", name, size_bytes);
	if (size_bytes)
		memcpy(copy, data, size_bytes);
	return adopt(image, name, copy, size_bytes);
}

void image_close(struct image *image)
{
	free(image->data);
	free(image->path);
	*image = (struct image){ 0 };
}

// -- loading --

void *image_room(const struct image *image, const struct memory *mem, uint64_t gpa, uint64_t len)
{
	void *host = memory_ptr(mem, gpa, len);

	if (!host)
		fail_msg(ENOSPC, "%s: needs %llu MiB of RAM at %#llx; the VM has %llu MiB: give it more with -m",
			 image->path, (unsigned long long)((len + MIB - 1) / MIB),
			 (unsigned long long)gpa,
			 (unsigned long long)(memory_total_bytes(mem) / MIB));
	return host;
}

static int load_image(const struct image *image, struct memory *mem, uint64_t ram_base,
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

int image_load(const struct image *image, struct memory *mem, uint64_t ram_base,
	       struct image_placement *placement)
{
	switch (image->kind) {
	case IMAGE_KIND_RISCV_IMAGE:
	case IMAGE_KIND_ARM64_IMAGE:
		return load_image(image, mem, ram_base, placement);
	case IMAGE_KIND_ELF:
		return image_elf_load(image, mem, ram_base, placement);
	default:
		// x86/boot.rst is a protocol of its own, not a place in RAM.
		return fail_msg(ENOTSUP, "%s: this machine cannot load a bzImage", image->path);
	}
}
