// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel images: what a file is, and how it is laid into guest RAM.
//
// image_open() recognises the kind from the contents (never from the name), also within
// gzip, its like and EFI zboot wrappers, and checks what the headers say; image_load()
// reads or unpacks the kernel right to where it belongs in RAM. Every header field is
// checked against the file; nothing in a file is trusted. Main thread.
#ifndef KVIK_IMAGE_H
#define KVIK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct memory;

enum image_arch { IMAGE_ARCH_RISCV64, IMAGE_ARCH_ARM64, IMAGE_ARCH_X86_64, IMAGE_ARCH_COUNT };
const char *image_arch_name(enum image_arch arch); // "riscv64", "arm64", "x86-64"

enum image_kind {
	IMAGE_KIND_RISCV_IMAGE, // Documentation/arch/riscv/boot-image-header.rst
	IMAGE_KIND_ARM64_IMAGE, // Documentation/arch/arm64/booting.rst
	IMAGE_KIND_ARM_ZIMAGE,  // Documentation/arch/arm/booting.rst; for arm64's AArch32
	IMAGE_KIND_BZIMAGE,     // Documentation/arch/x86/boot.rst
	IMAGE_KIND_ELF,
	IMAGE_KIND_COUNT
};

// What x86/boot.rst calls the setup header lies here in the file, and in boot_params.
#define IMAGE_SETUP_HEADER 0x1f1
// Room that boot_params has for it (zero-page.rst).
#define IMAGE_SETUP_HEADER_MAX_BYTES (0x290 - IMAGE_SETUP_HEADER)

// Holds what every format and wrapper is recognised by.
#define IMAGE_HEAD_BYTES 4096

// image.size_bytes of a kernel that is not unpacked yet.
#define IMAGE_SIZE_UNKNOWN UINT64_MAX

struct image_method;

// A kernel. Its bytes stay in the file until they are loaded.
struct image {
	enum image_kind kind;
	enum image_arch arch;
	const char *wrapper;   // how it was packed: "gzip", "zboot gzip", ...; or NULL
	uint64_t text_offset;  // from the start of RAM, per its header; not ELF
	uint64_t memory_bytes; // whole footprint, BSS included; of a packed one at least this
	// bzImage: stays after image_unload().
	uint8_t setup_header[IMAGE_SETUP_HEADER_MAX_BYTES];
	size_t setup_header_bytes;
	char *path;

	// For core/image*.c only.
	int fd;              // the file; -1: there is none
	uint8_t *data;       // the bytes, owned by the image; NULL: they are in the file
	uint64_t data_bytes; // of either
	// What in them is packed; NULL: they are the kernel.
	const struct image_method *method;
	uint64_t packed_offset;
	uint64_t packed_bytes;
	uint64_t size_bytes;            // of the kernel, unpacked
	size_t head_bytes;              // 0 after image_unload()
	uint8_t head[IMAGE_HEAD_BYTES]; // its first bytes, unpacked
};

// Where it was put.
struct image_placement {
	uint64_t entry_gpa;
	uint64_t start_gpa; // lowest byte of its footprint
	uint64_t end_gpa;   // first byte after its footprint, BSS included
	bool pvh;           // @entry_gpa is 32-bit, by Xen's PVH boot ABI; else Linux's 64-bit one
};

// Recognises and checks the kernel at @path. Returns 0, or -errno after one
// message that names the path, what is wrong and what would help. An image of any
// known architecture is accepted; the caller checks that it can run it.
int image_open(struct image *image, const char *path) MUST_CHECK;
void image_close(struct image *image);
// Gives back what is held of the kernel until the next image_load(), which reads the
// file again: a VM that runs needs it no more, unless it reboots.
void image_unload(struct image *image);

// For the fuzzer and the tests: the same on bytes already in memory (copied).
int image_parse(struct image *image, const char *name, const void *data, size_t size_bytes)
	MUST_CHECK;

// Puts the kernel into RAM: an Image at @ram_base + text_offset, an ELF at its
// physical addresses (@ram_base is where its first segment goes if the segments
// lie below RAM). A bzImage is unpacked, and the ELF in it goes where that says; one
// whose packing is not known goes to its text_offset and unpacks itself. Zeroes the BSS.
// Returns 0 or -errno with a message.
int image_load(const struct image *image, struct memory *mem, uint64_t ram_base,
	       struct image_placement *placement) MUST_CHECK;

// All of the kernel, unpacked (of a bzImage the ELF file inside), in memory that the caller
// frees. Returns 0 or -errno after a message.
int image_unpack_whole(const struct image *image, uint8_t **data, size_t *size_bytes) MUST_CHECK;

// How kernels may be packed: the name of the method number @index and whether this build
// knows it; NULL beyond the last.
const char *image_packing(unsigned index, bool *built);

// Opens a file to be read into RAM whole (an initrd). Returns its descriptor, which
// the caller closes, or -errno after a message: it must be a regular file. @what it is to be is
// told, too.
int image_open_file(const char *what, const char *path) MUST_CHECK;
// Reads all of it into RAM at @gpa. Returns 0, or -errno after a message: -ENOSPC when
// it does not fit.
int image_load_file(const char *path, int fd, struct memory *mem, uint64_t gpa,
		    uint64_t *size_bytes) MUST_CHECK;

#endif
