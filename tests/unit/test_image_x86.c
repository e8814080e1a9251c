// SPDX-License-Identifier: GPL-2.0-or-later
// Kernels for x86-64: bzImages, whatever they are packed by, and how an ELF kernel is
// entered.

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_LZMA
#include <lzma.h>
#endif
#ifdef HAVE_LZ4
#include <lz4.h>
#endif
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif

#include "image-fixture.h"
#include "image.h"
#include "memory.h"
#include "util.h"

#include <cmocka.h>

#define RAM_BYTES (32 * MIB)
#define KERNEL_GPA (16 * MIB)
#define VIRTUAL 0xffffffff81000000ULL

// -- ELF --

#define ELF_BYTES 4096
#define NOTES_OFFSET 1024
#define TEXT_OFFSET 2048
#define TEXT_BYTES 512
#define TEXT_MEMORY_BYTES 0x3000

static void put_program(struct file *file, unsigned index, const Elf64_Phdr *program)
{
	memcpy(file->data + sizeof(Elf64_Ehdr) + index * sizeof(*program), program,
	       sizeof(*program));
}

// As a stock vmlinux: linked high, its entry named by the physical address.
static struct file make_elf(uint16_t machine, uint64_t entry)
{
	struct file file = make_file(ELF_BYTES);
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = htole16(ET_EXEC),
		.e_machine = htole16(machine),
		.e_entry = htole64(entry),
		.e_phoff = htole64(sizeof(header)),
		.e_phentsize = htole16(sizeof(Elf64_Phdr)),
		.e_phnum = htole16(2),
	};
	Elf64_Phdr text = {
		.p_type = htole32(PT_LOAD),
		.p_offset = htole64(TEXT_OFFSET),
		.p_vaddr = htole64(VIRTUAL),
		.p_paddr = htole64(KERNEL_GPA),
		.p_filesz = htole64(TEXT_BYTES),
		.p_memsz = htole64(TEXT_MEMORY_BYTES),
	};
	Elf64_Phdr notes = { .p_type = htole32(PT_NOTE), .p_offset = htole64(NOTES_OFFSET) };

	memcpy(file.data, &header, sizeof(header));
	put_program(&file, 0, &text);
	put_program(&file, 1, &notes);
	memset(file.data + TEXT_OFFSET, 'K', TEXT_BYTES);
	return file;
}

static struct file vmlinux(void)
{
	return make_elf(EM_X86_64, KERNEL_GPA + 0x40);
}

// Appends a note; its size in the program header grows.
static void add_note(struct file *file, const char *name, uint32_t type, const void *desc,
		     size_t desc_bytes)
{
	size_t header = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
	size_t name_bytes = strlen(name) + 1;
	uint64_t used;
	size_t at;

	memcpy(&used, file->data + header + offsetof(Elf64_Phdr, p_filesz), sizeof(used));
	at = NOTES_OFFSET + le64toh(used);
	put32(file, at, name_bytes);
	put32(file, at + 4, desc_bytes);
	put32(file, at + 8, type);
	memcpy(file->data + at + 12, name, name_bytes);
	at += 12 + align_up(name_bytes, 4);
	memcpy(file->data + at, desc, desc_bytes);
	at += align_up(desc_bytes, 4);
	put64(file, header + offsetof(Elf64_Phdr, p_filesz), at - NOTES_OFFSET);
}

static void add_pvh_note(struct file *file, uint64_t entry, size_t bytes)
{
	entry = htole64(entry);
	add_note(file, "Xen", 18, &entry, bytes);
}

// -- packing; each frees @plain --

#ifdef HAVE_LZMA
static struct file xz(struct file plain)
{
	struct file file = make_file(lzma_stream_buffer_bound(plain.size));
	size_t used = 0;

	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, plain.data, plain.size,
						 file.data, &used, file.size),
			 LZMA_OK);
	file.size = used;
	free(plain.data);
	return file;
}

static struct file lzma(struct file plain)
{
	struct file file = make_file(plain.size + 1000);
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	assert_false(lzma_lzma_preset(&options, 1));
	assert_int_equal(lzma_alone_encoder(&stream, &options), LZMA_OK);
	stream.next_in = plain.data;
	stream.avail_in = plain.size;
	stream.next_out = file.data;
	stream.avail_out = file.size;
	assert_int_equal(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
	file.size = stream.total_out;
	lzma_end(&stream);
	free(plain.data);
	return file;
}
#endif

#ifdef HAVE_LZ4
#define LZ4_BLOCK (8 * MIB)

static struct file lz4(struct file plain)
{
	size_t blocks = plain.size / LZ4_BLOCK + 1, used = 4;
	struct file file = make_file(4 + blocks * 4 + LZ4_compressBound(plain.size) + blocks * 32);

	put32(&file, 0, 0x184c2102);
	for (size_t done = 0; done < plain.size;) {
		int bytes = MIN(plain.size - done, (size_t)LZ4_BLOCK);
		int packed = LZ4_compress_default((char *)plain.data + done,
						  (char *)file.data + used + 4, bytes,
						  file.size - used - 4);

		assert_true(packed > 0);
		put32(&file, used, packed);
		used += 4 + packed;
		done += bytes;
	}
	file.size = used;
	free(plain.data);
	return file;
}
#endif

#ifdef HAVE_LZO
#define LZO_BLOCK (256 * KIB)
#define LZO_HEADER 38

// lzop's numbers are big-endian.
static void put_be32(struct file *file, size_t offset, uint32_t value)
{
	put32(file, offset, __builtin_bswap32(value));
}

static void put_lzo_header(struct file *file)
{
	static const uint8_t magic[] = { 0x89, 'L', 'Z', 'O', 0, '\r', '\n', 0x1a, '\n' };

	memcpy(file->data, magic, sizeof(magic));
	put16(file, 9, 0x4010); // version 0x1040
	file->data[15] = 3;     // method
	file->data[16] = 9;     // level
	put_be32(file, 17, 1);  // Adler-32 of what was packed
}

static struct file lzo(struct file plain)
{
	size_t blocks = plain.size / LZO_BLOCK + 1, used = LZO_HEADER;
	struct file file = make_file(LZO_HEADER + blocks * (LZO_BLOCK + LZO_BLOCK / 16 + 100));
	void *work = malloc(LZO1X_1_MEM_COMPRESS);

	put_lzo_header(&file);
	for (size_t done = 0; done < plain.size;) {
		size_t bytes = MIN(plain.size - done, (size_t)LZO_BLOCK);
		lzo_uint packed;

		assert_int_equal(lzo1x_1_compress(plain.data + done, bytes, file.data + used + 12,
						  &packed, work),
				 LZO_E_OK);
		if (packed >= bytes) { // lzop stores it then
			packed = bytes;
			memcpy(file.data + used + 12, plain.data + done, bytes);
		}
		put_be32(&file, used, bytes);
		put_be32(&file, used + 4, packed);
		used += 12 + packed;
		done += bytes;
	}
	file.size = used + 4; // a size of 0
	free(work);
	free(plain.data);
	return file;
}
#endif

static const struct packer {
	const char *name;
	struct file (*pack)(struct file plain);
	unsigned large_mib; // more than one block, and than the first step of an output
} packers[] = {
	{ "gzip", gzip, 3 }, { "zstd", zstd, 3 },
#ifdef HAVE_LZMA
	{ "xz", xz, 3 },     { "lzma", lzma, 3 },
#endif
#ifdef HAVE_LZ4
	{ "lz4", lz4, 9 },
#endif
#ifdef HAVE_LZO
	{ "lzo", lzo, 3 },
#endif
};

// As Linux's Makefiles: gzip's own last bytes are the size.
static struct file append_size(struct file packed, bool is_gzip, uint32_t size)
{
	if (!is_gzip) {
		packed.data = realloc(packed.data, packed.size + 4);
		packed.size += 4;
	}
	put32(&packed, packed.size - 4, size);
	return packed;
}

// -- bzImage --

#define SETUP_BYTES 2048
#define PAYLOAD_OFFSET 0x300 // from the end of the setup

static struct file bzimage(struct file payload)
{
	struct file file = make_file(SETUP_BYTES + PAYLOAD_OFFSET + payload.size + 16);

	file.data[0x1f1] = SETUP_BYTES / 512 - 1;
	put16(&file, 0x1fe, 0xaa55);
	file.data[0x201] = 0x6a; // where the header ends, less 0x202
	memcpy(file.data + 0x202, "HdrS", 4);
	put16(&file, 0x206, 0x20f);
	put16(&file, 0x236, 3);
	put32(&file, 0x238, 2047); // cmdline_size
	put32(&file, 0x248, PAYLOAD_OFFSET);
	put32(&file, 0x24c, payload.size);
	put64(&file, 0x258, KERNEL_GPA); // pref_address
	put32(&file, 0x260, 2 * MIB);    // init_size
	memset(file.data + SETUP_BYTES, 0xb2, 64);
	memcpy(file.data + SETUP_BYTES + PAYLOAD_OFFSET, payload.data, payload.size);
	free(payload.data);
	return file;
}

static struct file packed_bzimage(const struct packer *packer, struct file elf)
{
	bool is_gzip = packer->pack == gzip;

	return bzimage(append_size(packer->pack(elf), is_gzip, elf.size));
}

// -- checks --

static int setup_ram(void **state)
{
	struct memory *mem = calloc(1, sizeof(*mem));

	memory_init(mem);
	*state = mem;
	return memory_add_ram(mem, 0, RAM_BYTES);
}

static int teardown_ram(void **state)
{
	memory_exit(*state);
	free(*state);
	return 0;
}

// Frees @file.
static int load(struct memory *mem, struct file file, struct image_placement *placement)
{
	struct image image;
	int rc = image_parse(&image, "test", file.data, file.size);

	free(file.data);
	if (rc)
		return rc;
	rc = image_load(&image, mem, 0, placement);
	image_close(&image);
	return rc;
}

static void assert_refused(struct memory *mem, struct file file)
{
	struct image_placement placement;

	assert_true(load(mem, file, &placement) < 0);
}

static void assert_bytes(struct memory *mem, uint64_t gpa, uint8_t value, size_t count)
{
	const uint8_t *data = memory_ptr(mem, gpa, count);

	assert_non_null(data);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(data[i], value);
}

static void assert_vmlinux(struct memory *mem, const struct image_placement *placement)
{
	assert_int_equal(placement->entry_gpa, KERNEL_GPA + 0x40);
	assert_int_equal(placement->start_gpa, KERNEL_GPA);
	assert_int_equal(placement->end_gpa, KERNEL_GPA + TEXT_MEMORY_BYTES);
	assert_false(placement->pvh);
	assert_bytes(mem, KERNEL_GPA, 'K', TEXT_BYTES);
	assert_bytes(mem, KERNEL_GPA + TEXT_BYTES, 0, TEXT_MEMORY_BYTES - TEXT_BYTES);
}

// -- bzImages --

static void test_unpacked_on_the_host(void **state)
{
	struct memory *mem = *state;

	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct image_placement placement;

		memset(memory_ptr(mem, KERNEL_GPA, MIB), 0xee, MIB);
		assert_int_equal(load(mem, packed_bzimage(&packers[i], vmlinux()), &placement), 0);
		assert_vmlinux(mem, &placement);
	}
}

static struct file large_vmlinux(unsigned mib)
{
	struct file elf = vmlinux(), large = make_file(mib * MIB);
	uint32_t random = 1;

	memcpy(large.data, elf.data, elf.size);
	free(elf.data);
	// Behind the segments, as the relocations are; some of it does not shrink.
	for (size_t i = ELF_BYTES; i < MIB; i++) {
		random = random * 1664525 + 1013904223;
		large.data[i] = random >> 24;
	}
	return large;
}

static void test_large_payloads(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct image_placement placement;

		assert_int_equal(
			load(*state,
			     packed_bzimage(&packers[i], large_vmlinux(packers[i].large_mib)),
			     &placement),
			0);
		assert_vmlinux(*state, &placement);
	}
}

// The same methods, around a whole file.
static void test_packed_files(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct file file = packers[i].pack(large_vmlinux(packers[i].large_mib));
		struct image image;

		assert_int_equal(image_parse(&image, "test", file.data, file.size), 0);
		assert_string_equal(image.wrapper, packers[i].name);
		assert_int_equal(image.kind, IMAGE_KIND_ELF);
		assert_int_equal(image.size_bytes, packers[i].large_mib * MIB);
		image_close(&image);
		free(file.data);
	}
}

static void assert_unpacks_itself(struct memory *mem, struct file file)
{
	struct image_placement placement;

	memset(memory_ptr(mem, KERNEL_GPA, 3 * MIB), 0xee, 3 * MIB);
	assert_int_equal(load(mem, file, &placement), 0);
	assert_int_equal(placement.entry_gpa, KERNEL_GPA + 0x200);
	assert_int_equal(placement.start_gpa, KERNEL_GPA);
	assert_int_equal(placement.end_gpa, KERNEL_GPA + 2 * MIB);
	assert_bytes(mem, KERNEL_GPA, 0xb2, 64);
	assert_bytes(mem, KERNEL_GPA + 2 * MIB - 64, 0, 64);
	assert_bytes(mem, KERNEL_GPA + 2 * MIB, 0xee, 1);
}

static void test_others_unpack_themselves(void **state)
{
	struct file unknown = append_size(make_file(100), false, ELF_BYTES);
	struct file none = packed_bzimage(&packers[0], vmlinux());
	struct file tiny = packed_bzimage(&packers[0], vmlinux());

	memcpy(unknown.data, "BZh91AY", 7);
	assert_unpacks_itself(*state, bzimage(unknown));
	put32(&none, 0x248, 0);
	assert_unpacks_itself(*state, none);
	put32(&tiny, 0x24c, 3);
	assert_unpacks_itself(*state, tiny);
}

static void test_setup_header_is_kept(void **state)
{
	struct file file = packed_bzimage(&packers[0], vmlinux());
	struct image image;

	assert_int_equal(image_parse(&image, "test", file.data, file.size), 0);
	assert_int_equal(image.setup_header_bytes, 0x202 + 0x6a - 0x1f1);
	assert_memory_equal(image.setup_header, file.data + 0x1f1, image.setup_header_bytes);
	image_close(&image);
	// boot_params has room for no more.
	file.data[0x201] = 0xff;
	assert_int_equal(image_parse(&image, "test", file.data, file.size), 0);
	assert_int_equal(image.setup_header_bytes, IMAGE_SETUP_HEADER_MAX_BYTES);
	image_close(&image);
	free(file.data);
}

// -- where the segments come to lie --

#define LAYOUT_BYTES (4 * MIB)

struct layout {
	uint64_t offset; // in the file
	uint64_t paddr;
	uint64_t bytes;
	uint64_t memory_bytes;
};

// Each segment holds its own letter, all else '.'.
static struct file make_layout(const struct layout *layout, unsigned count)
{
	struct file file = vmlinux(), large = make_file(LAYOUT_BYTES);

	memset(large.data, '.', large.size);
	memcpy(large.data, file.data, sizeof(Elf64_Ehdr));
	free(file.data);
	put16(&large, offsetof(Elf64_Ehdr, e_phnum), count);
	for (unsigned i = 0; i < count; i++) {
		Elf64_Phdr program = {
			.p_type = htole32(PT_LOAD),
			.p_offset = htole64(layout[i].offset),
			.p_vaddr = htole64(VIRTUAL + layout[i].paddr - KERNEL_GPA),
			.p_paddr = htole64(layout[i].paddr),
			.p_filesz = htole64(layout[i].bytes),
			.p_memsz = htole64(layout[i].memory_bytes),
		};

		put_program(&large, i, &program);
		memset(large.data + layout[i].offset, 'A' + i, layout[i].bytes);
	}
	return large;
}

static void assert_layout(struct memory *mem, const struct layout *layout, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_bytes(mem, layout[i].paddr, 'A' + i, layout[i].bytes);
		assert_bytes(mem, layout[i].paddr + layout[i].bytes, 0,
			     layout[i].memory_bytes - layout[i].bytes);
	}
}

// Nothing of the file but its segments stays in RAM, nor does anything of what was there.
static void assert_no_rest(struct memory *mem)
{
	const uint8_t *ram = memory_ptr(mem, 0, RAM_BYTES);

	for (size_t i = 0; i < RAM_BYTES; i++)
		assert_true(ram[i] != '.' && ram[i] != 0x7f);
}

#define NEAR KERNEL_GPA

static void test_segments_move(void **state)
{
	static const struct layout layouts[][3] = {
		// As a stock vmlinux: the first ones lie right at once, others move down.
		{ { 2 * MIB, NEAR, MIB, MIB },
		  { 3 * MIB + 8192, NEAR + MIB, 4096, 8192 },
		  { 3 * MIB + 65536, NEAR + MIB + 8192, 65536, MIB } },
		// All elsewhere, below and above.
		{ { 4096, NEAR, 4096, 4096 },
		  { 8192, NEAR + 4096, 4096, 2 * MIB },
		  { MIB, NEAR + 8 * MIB, MIB, MIB + 1 } },
		{ { 4096, 2 * MIB, MIB, MIB },
		  { 2 * MIB, 4 * MIB, MIB, MIB },
		  { 3 * MIB, 6 * MIB, 4096, MIB } },
		// In each other's way: the first one's place is where the second one lies.
		{ { 4096, NEAR, MIB, MIB },
		  { 2 * MIB, NEAR + MIB, MIB, MIB },
		  { 3 * MIB, NEAR + 2 * MIB, MIB, MIB } },
		// Not in order.
		{ { 3 * MIB, NEAR, 4096, MIB },
		  { 2 * MIB, NEAR + 4 * MIB, 4096, MIB },
		  { MIB, NEAR + 2 * MIB, 4096, MIB } },
		// BSS alone.
		{ { 2 * MIB, NEAR, 4096, 8192 },
		  { 3 * MIB, NEAR + MIB, 0, MIB },
		  { 3 * MIB, NEAR + 3 * MIB, 4096, 4096 } },
	};
	struct memory *mem = *state;

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		for (unsigned fresh = 0; fresh < 2; fresh++) {
			struct file elf = make_layout(layouts[i], 3);
			struct image_placement placement;

			put64(&elf, offsetof(Elf64_Ehdr, e_entry), layouts[i][0].paddr);
			memset(memory_ptr(mem, 0, RAM_BYTES), fresh ? 0 : 0x11, RAM_BYTES);
			mem->fresh = fresh;
			assert_int_equal(load(mem, packed_bzimage(&packers[0], elf), &placement),
					 0);
			mem->fresh = false;
			assert_int_equal(placement.entry_gpa, layouts[i][0].paddr);
			assert_layout(mem, layouts[i], 3);
			assert_no_rest(mem);
		}
	}
}

// -- files: they are read a piece at a time --

static int load_from_file(struct memory *mem, struct file file, struct image_placement *placement)
{
	char path[] = "/tmp/kvik-test-image-x86-XXXXXX";
	int fd = mkstemp(path), rc;
	struct image image;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file.data, file.size), file.size);
	close(fd);
	free(file.data);
	rc = image_open(&image, path);
	unlink(path);
	assert_int_equal(rc, 0);
	for (unsigned round = 0; !rc && round < 2; round++) {
		rc = image_load(&image, mem, 0, placement);
		image_unload(&image);
	}
	image_close(&image);
	return rc;
}

static void test_from_files(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct file elf = large_vmlinux(packers[i].large_mib);
		struct image_placement placement;

		assert_int_equal(
			load_from_file(*state, packed_bzimage(&packers[i], elf), &placement), 0);
		assert_vmlinux(*state, &placement);
	}
}

static void test_vmlinux_file_with_notes(void **state)
{
	struct file elf = make_elf(EM_X86_64, VIRTUAL);
	struct image_placement placement;

	add_pvh_note(&elf, KERNEL_GPA + 0x100, 8);
	assert_int_equal(load_from_file(*state, elf, &placement), 0);
	assert_true(placement.pvh);
	assert_int_equal(placement.entry_gpa, KERNEL_GPA + 0x100);
}

// -- damage --

static void test_cut_anywhere(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct file whole = packed_bzimage(&packers[i], vmlinux());
		size_t payload = SETUP_BYTES + PAYLOAD_OFFSET;

		for (size_t size = 0; size < whole.size - 16; size += size < payload ? 61 : 1) {
			struct file cut = make_file(size ? size : 1);

			cut.size = size;
			memcpy(cut.data, whole.data, size);
			assert_refused(*state, cut);
		}
		free(whole.data);
	}
}

// The payload is cut, and the header says so.
static void test_short_payloads(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		bool is_gzip = packers[i].pack == gzip;
		struct file packed = packers[i].pack(vmlinux());

		for (size_t size = 16; size < packed.size; size++) {
			struct file cut = make_file(size);

			memcpy(cut.data, packed.data, size);
			assert_refused(*state, bzimage(append_size(cut, is_gzip, ELF_BYTES)));
		}
		free(packed.data);
	}
}

static void test_flipped_bits(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct file file = packed_bzimage(&packers[i], vmlinux());

		for (size_t at = SETUP_BYTES + PAYLOAD_OFFSET; at < file.size; at++) {
			struct image_placement placement;
			struct file copy = make_file(file.size);

			memcpy(copy.data, file.data, file.size);
			copy.data[at] ^= 0x10;
			// Some do not matter; none may do harm.
			(void)!load(*state, copy, &placement);
		}
		free(file.data);
	}
}

static void test_lying_sizes(void **state)
{
	const uint32_t sizes[] = { 1, ELF_BYTES - 1, ELF_BYTES + 1, 64 * MIB, ~0U };

	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
			struct file packed = packers[i].pack(vmlinux());

			packed = append_size(packed, packers[i].pack == gzip, sizes[j]);
			assert_refused(*state, bzimage(packed));
		}
	}
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

// 36 MiB of zeroes: too much for what they are packed into, or for what they say.
static void test_bombs(void **state)
{
	const struct {
		uint32_t says;
		int error;
	} kinds[] = { { 36 * MIB, -EFBIG }, { 0, -EFBIG }, { ELF_BYTES, -EINVAL } };

	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct file bomb = packers[i].pack(make_file(36 * MIB));

		for (size_t j = 0; j < ARRAY_SIZE(kinds); j++) {
			struct file copy = make_file(bomb.size);
			struct image_placement placement;
			double start = seconds();

			memcpy(copy.data, bomb.data, bomb.size);
			copy = append_size(copy, packers[i].pack == gzip, kinds[j].says);
			assert_int_equal(load(*state, bzimage(copy), &placement), kinds[j].error);
			assert_true(seconds() - start < 1);
		}
		free(bomb.data);
	}
}

static void test_what_is_no_kernel_inside(void **state)
{
	struct file not_elf = vmlinux();

	not_elf.data[0] = 0;
	assert_refused(*state, packed_bzimage(&packers[0], not_elf));
	assert_refused(*state, packed_bzimage(&packers[0], make_elf(EM_RISCV, KERNEL_GPA)));
	assert_refused(*state, packed_bzimage(&packers[0], make_elf(EM_X86_64, 0x1234)));
	assert_refused(*state, packed_bzimage(&packers[0], gzip(vmlinux())));
}

static void test_lying_headers(void **state)
{
	const struct {
		size_t offset;
		uint32_t value;
	} lies[] = {
		{ 0x248, ~0U },     { 0x24c, ~0U }, { 0x248, 1 << 20 },
		{ 0x24c, 1 << 20 }, { 0x25c, ~0U }, // pref_address
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct file file = packed_bzimage(&packers[0], vmlinux());

		put32(&file, lies[i].offset, lies[i].value);
		assert_refused(*state, file);
	}
}

static void test_little_ram(void **state)
{
	struct file whole = bzimage(make_file(100)),
		    packed = packed_bzimage(&packers[0], vmlinux());
	struct memory mem;

	memory_init(&mem);
	assert_int_equal(memory_add_ram(&mem, 0, KERNEL_GPA), 0);
	assert_refused(&mem, packed);
	assert_refused(&mem, whole);
	memory_exit(&mem);
}

// -- entry --

static void test_entry_by_either_address(void **state)
{
	struct image_placement placement;

	assert_int_equal(load(*state, make_elf(EM_X86_64, VIRTUAL + 8), &placement), 0);
	assert_int_equal(placement.entry_gpa, KERNEL_GPA + 8);
	assert_int_equal(load(*state, make_elf(EM_X86_64, KERNEL_GPA + 8), &placement), 0);
	assert_int_equal(placement.entry_gpa, KERNEL_GPA + 8);
	assert_refused(*state, make_elf(EM_X86_64, KERNEL_GPA + TEXT_MEMORY_BYTES));
}

static void test_pvh_where_it_is_the_only_way(void **state)
{
	const size_t widths[] = { 4, 8 };

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct file elf = make_elf(EM_X86_64, VIRTUAL);
		struct image_placement placement;

		add_note(&elf, "GNU", 3, "build id", 8);
		add_note(&elf, "Xen", 6, "FreeBSD", 8);
		add_pvh_note(&elf, KERNEL_GPA + 0x100, widths[i]);
		assert_int_equal(load(*state, elf, &placement), 0);
		assert_true(placement.pvh);
		assert_int_equal(placement.entry_gpa, KERNEL_GPA + 0x100);
	}
}

static void test_linux_has_a_better_way(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct file elf = vmlinux();
		struct image_placement placement;

		add_pvh_note(&elf, KERNEL_GPA + 0x100, 8);
		if (i)
			add_note(&elf, "Linux", 0x100, "", 1);
		else
			add_note(&elf, "Xen", 6, "linux", 6);
		assert_int_equal(load(*state, elf, &placement), 0);
		assert_vmlinux(*state, &placement);
	}
}

static void test_bad_notes(void **state)
{
	struct file outside = vmlinux(), short_desc = vmlinux(), cut = vmlinux();
	size_t notes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
	struct image_placement placement;

	// An entry that nothing was loaded to.
	add_pvh_note(&outside, KERNEL_GPA + MIB, 8);
	assert_refused(*state, outside);
	// What is not understood is not there.
	add_pvh_note(&short_desc, KERNEL_GPA, 2);
	assert_int_equal(load(*state, short_desc, &placement), 0);
	assert_vmlinux(*state, &placement);
	add_pvh_note(&cut, KERNEL_GPA, 8);
	put64(&cut, notes + offsetof(Elf64_Phdr, p_filesz), 18);
	assert_int_equal(load(*state, cut, &placement), 0);
	assert_vmlinux(*state, &placement);
}

static void test_notes_beyond_the_file(void **state)
{
	const uint64_t values[] = { ELF_BYTES, ELF_BYTES + 1, 1ULL << 63, ~0ULL };
	size_t notes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct file far = vmlinux(), large = vmlinux();
		struct image_placement placement;

		put64(&far, notes + offsetof(Elf64_Phdr, p_offset), values[i]);
		put64(&far, notes + offsetof(Elf64_Phdr, p_filesz), 64);
		assert_int_equal(load(*state, far, &placement), 0);
		put64(&large, notes + offsetof(Elf64_Phdr, p_filesz), values[i]);
		assert_int_equal(load(*state, large, &placement), 0);
	}
}

static void test_packings_are_listed(void **state)
{
	unsigned count = 0;
	const char *name;
	bool built;

	for (unsigned i = 0; (name = image_packing(i, &built)); i++) {
		bool known = false;

		for (size_t j = 0; j < ARRAY_SIZE(packers); j++)
			known |= !strcmp(packers[j].name, name);
		assert_int_equal(known, built);
		count += built;
	}
	assert_int_equal(count, ARRAY_SIZE(packers));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unpacked_on_the_host),
		cmocka_unit_test(test_large_payloads),
		cmocka_unit_test(test_packed_files),
		cmocka_unit_test(test_others_unpack_themselves),
		cmocka_unit_test(test_setup_header_is_kept),
		cmocka_unit_test(test_segments_move),
		cmocka_unit_test(test_from_files),
		cmocka_unit_test(test_vmlinux_file_with_notes),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_short_payloads),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_lying_sizes),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_what_is_no_kernel_inside),
		cmocka_unit_test(test_lying_headers),
		cmocka_unit_test(test_little_ram),
		cmocka_unit_test(test_entry_by_either_address),
		cmocka_unit_test(test_pvh_where_it_is_the_only_way),
		cmocka_unit_test(test_linux_has_a_better_way),
		cmocka_unit_test(test_bad_notes),
		cmocka_unit_test(test_notes_beyond_the_file),
		cmocka_unit_test(test_packings_are_listed),
	};

	return cmocka_run_group_tests(tests, setup_ram, teardown_ram);
}
