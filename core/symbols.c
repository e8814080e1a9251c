// SPDX-License-Identifier: GPL-2.0-or-later
// The functions of a kernel: the table, and which kind of file fills it.
#include "symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "symbols-internal.h"

// Linux has some 200,000 functions with names of 25 bytes.
#define SYMBOLS_MAX (4 * MIB)
#define NAMES_MAX_BYTES (256 * MIB)

// What the last function is taken to be at most: nothing follows to show where it ends.
#define LAST_BYTES 4096

// -- filling --

// Makes room for @more elements of @size bytes, at least doubling what there is.
static int grow(void **list, size_t *room, size_t used, size_t more, size_t size)
{
	size_t wanted = MAX(used + more, (size_t)4096);
	void *larger;

	if (used + more <= *room)
		return 0;
	wanted = MAX(wanted, *room * 2);
	larger = realloc(*list, wanted * size);
	if (!larger)
		return -ENOMEM;
	*list = larger;
	*room = wanted;
	return 0;
}

static void copy_printable(char *to, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = name[i] > ' ' && name[i] <= '~' ? name[i] : '?';
	to[len] = '\0';
}

// Of several names of an address those for the linker (__start_x) are of the least use.
static unsigned rank_of(const char *name, size_t len, bool is_global)
{
	unsigned underscores = 0;

	while (underscores < len && name[underscores] == '_')
		underscores++;
	return 2 * underscores + !is_global;
}

int symbols_add(struct symbols *symbols, uint64_t address, const char *name, size_t len,
		bool is_global)
{
	if (symbols->count >= SYMBOLS_MAX || symbols->names_bytes + len >= NAMES_MAX_BYTES)
		return -E2BIG;
	if (grow((void **)&symbols->list, &symbols->room, symbols->count, 1,
		 sizeof(*symbols->list)) ||
	    grow((void **)&symbols->names, &symbols->names_room, symbols->names_bytes, len + 1, 1))
		return -ENOMEM;
	symbols->list[symbols->count++] = (struct symbol){
		.address = address,
		.name = (uint32_t)symbols->names_bytes,
		.rank = rank_of(name, len, is_global),
	};
	copy_printable(symbols->names + symbols->names_bytes, name, len);
	symbols->names_bytes += len + 1;
	return 0;
}

int symbols_add_failed(const char *path, int err)
{
	if (err == -E2BIG)
		return fail_msg(E2BIG,
				"%s: has more than %llu functions, or names of more than "
				"%llu MiB: no kernel's",
				path, SYMBOLS_MAX, NAMES_MAX_BYTES / MIB);
	return fail(-err, "%s: read its symbols", path);
}

static int compare(const void *a, const void *b)
{
	const struct symbol *one = a, *two = b;

	if (one->address != two->address)
		return one->address < two->address ? -1 : 1;
	if (one->rank != two->rank)
		return one->rank < two->rank ? -1 : 1;
	return one->name < two->name ? -1 : one->name > two->name;
}

// -- asking --

static const char *name_of(const struct symbols *symbols, const struct symbol *symbol)
{
	return symbols->names + symbol->name;
}

// How many have an address of at most @address.
static size_t count_up_to(const struct symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->list[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool symbols_find(const struct symbols *symbols, uint64_t address, struct symbol_place *place)
{
	size_t next = count_up_to(symbols, address), first = next;
	const struct symbol *symbol;

	if (!next)
		return false;
	while (first && symbols->list[first - 1].address == symbols->list[next - 1].address)
		first--;
	symbol = &symbols->list[first];
	*place = (struct symbol_place){
		.name = name_of(symbols, symbol),
		.offset = address - symbol->address,
		.size_bytes = next < symbols->count ?
				      symbols->list[next].address - symbol->address :
				      LAST_BYTES,
	};
	return place->offset < place->size_bytes;
}

bool symbols_address(const struct symbols *symbols, const char *name, uint64_t *address)
{
	for (size_t i = 0; i < symbols->count; i++) {
		if (strcmp(name_of(symbols, &symbols->list[i]), name) != 0)
			continue;
		*address = symbols->list[i].address;
		return true;
	}
	return false;
}

// -- reading --

static bool is_elf(const struct image_source *source)
{
	char magic[4];

	return source->size_bytes >= sizeof(magic) &&
	       !image_source_read(source, 0, magic, sizeof(magic)) &&
	       memcmp(magic, "\177ELF", sizeof(magic)) == 0;
}

// "ffffffff81000000 T _text": an address, a type.
static bool is_map(const struct image_source *source)
{
	char head[19];

	return source->size_bytes >= sizeof(head) &&
	       !image_source_read(source, 0, head, sizeof(head)) && head[16] == ' ' &&
	       head[18] == ' ' && strspn(head, "0123456789abcdefABCDEF") == 16;
}

static int read_image(struct symbols *symbols, struct image *image)
{
	uint8_t *data;
	size_t size_bytes;
	int rc = image_unpack_whole(image, &data, &size_bytes);

	if (rc)
		return rc;
	rc = symbols_read_kallsyms(symbols, image->path, (struct image_span){ data, size_bytes });
	free(data);
	return rc;
}

static int read_kernel(struct symbols *symbols, const struct image_source *source)
{
	struct image image;
	int rc = source->data ?
			 image_parse(&image, source->path, source->data, source->size_bytes) :
			 image_open(&image, source->path);

	if (rc)
		return rc;
	rc = read_image(symbols, &image);
	image_close(&image);
	return rc;
}

static int read_any(struct symbols *symbols, const struct image_source *source)
{
	int rc = -ENODATA;

	if (is_map(source))
		return symbols_read_map(symbols, source);
	if (is_elf(source))
		rc = symbols_read_elf(symbols, source);
	return rc == -ENODATA ? read_kernel(symbols, source) : rc;
}

static int read_source(struct symbols **symbols, const struct image_source *source)
{
	struct symbols *made = calloc(1, sizeof(*made));
	int rc = made ? read_any(made, source) : fail(ENOMEM, "%s: read its symbols", source->path);

	if (!rc && !made->count)
		rc = -ENODATA;
	if (rc) {
		symbols_free(made);
		return rc;
	}
	qsort(made->list, made->count, sizeof(*made->list), compare);
	*symbols = made;
	return 0;
}

int symbols_open(struct symbols **symbols, const char *path)
{
	struct image_source source = { .path = path, .fd = image_open_file("symbols", path) };
	int rc;

	if (source.fd < 0)
		return source.fd;
	rc = image_file_size(path, source.fd, &source.size_bytes);
	if (!rc)
		rc = read_source(symbols, &source);
	close(source.fd);
	return rc;
}

int symbols_parse(struct symbols **symbols, const char *name, const void *data, size_t size_bytes)
{
	struct image_source source = {
		.path = name,
		.fd = -1,
		.data = data,
		.size_bytes = size_bytes,
	};

	return read_source(symbols, &source);
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->list);
	free(symbols->names);
	free(symbols);
}
