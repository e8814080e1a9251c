// SPDX-License-Identifier: GPL-2.0-or-later
// The symbol table of an ELF file: vmlinux, or the file of its debugging data.
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "symbols-internal.h"

#define TABLE_MAX_BYTES (256 * MIB)

struct elf {
	const struct image_source *source;
	Elf64_Shdr *sections;
	unsigned section_count;
};

// -- bytes --

static int broken(const struct image_source *source, const char *what)
{
	return fail_msg(EINVAL, "%s: its %s lies beyond its %llu bytes; is the file complete?",
			source->path, what, (unsigned long long)source->size_bytes);
}

// Reads [@offset, @offset + @size_bytes) into memory that the caller frees, with a NUL
// behind.
static int read_part(const struct image_source *source, uint64_t offset, uint64_t size_bytes,
		     const char *what, void **data)
{
	int rc;

	if (size_bytes > TABLE_MAX_BYTES || offset > source->size_bytes ||
	    size_bytes > source->size_bytes - offset)
		return broken(source, what);
	*data = calloc(1, size_bytes + 1);
	if (!*data)
		return fail(ENOMEM, "%s: read its %s", source->path, what);
	rc = image_source_read(source, offset, *data, size_bytes);
	if (rc)
		free(*data);
	return rc;
}

static int read_section(const struct elf *elf, unsigned index, const char *what, void **data,
			uint64_t *size_bytes)
{
	const Elf64_Shdr *section = &elf->sections[index];

	*size_bytes = le64toh(section->sh_size);
	return read_part(elf->source, le64toh(section->sh_offset), *size_bytes, what, data);
}

static int read_sections(struct elf *elf)
{
	Elf64_Ehdr header;
	int rc;

	if (elf->source->size_bytes < sizeof(header))
		return broken(elf->source, "header");
	rc = image_source_read(elf->source, 0, &header, sizeof(header));
	if (rc)
		return rc;
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
		return fail_msg(EINVAL, "%s: is not a 64-bit, little-endian ELF file",
				elf->source->path);
	elf->section_count = le16toh(header.e_shnum);
	if (!elf->section_count || le16toh(header.e_shentsize) != sizeof(Elf64_Shdr))
		return -ENODATA;
	return read_part(elf->source, le64toh(header.e_shoff),
			 elf->section_count * sizeof(Elf64_Shdr), "table of sections",
			 (void **)&elf->sections);
}

// -- symbols --

static bool is_code(const struct elf *elf, const Elf64_Sym *symbol)
{
	unsigned section = le16toh(symbol->st_shndx), type = ELF64_ST_TYPE(symbol->st_info);

	return (type == STT_FUNC || type == STT_NOTYPE) && section != SHN_UNDEF &&
	       section < elf->section_count &&
	       le64toh(elf->sections[section].sh_flags) & SHF_EXECINSTR;
}

// Labels of compilers and assemblers: "$x", ".L12".
static bool is_label(const char *name)
{
	return name[0] == '$' || strncmp(name, ".L", 2) == 0 || !name[0];
}

static int add_symbol(struct symbols *symbols, const struct elf *elf, const Elf64_Sym *symbol,
		      struct image_span strings)
{
	uint32_t at = le32toh(symbol->st_name);
	const char *name = (const char *)strings.data + at;

	if (at >= strings.size_bytes || !is_code(elf, symbol) || is_label(name))
		return 0;
	return symbols_add(symbols, le64toh(symbol->st_value), name, strnlen(name, SYMBOL_NAME_MAX),
			   ELF64_ST_BIND(symbol->st_info) != STB_LOCAL);
}

static int add_all(struct symbols *symbols, const struct elf *elf, struct image_span table,
		   struct image_span strings)
{
	int rc = 0;

	for (size_t at = 0; table.size_bytes - at >= sizeof(Elf64_Sym) && !rc;
	     at += sizeof(Elf64_Sym)) {
		Elf64_Sym symbol;

		memcpy(&symbol, table.data + at, sizeof(symbol));
		rc = add_symbol(symbols, elf, &symbol, strings);
	}
	return rc ? symbols_add_failed(elf->source->path, rc) : 0;
}

static int read_table(struct symbols *symbols, const struct elf *elf, unsigned index)
{
	unsigned link = le32toh(elf->sections[index].sh_link);
	void *table, *strings;
	uint64_t table_bytes, strings_bytes;
	int rc;

	if (link >= elf->section_count)
		return fail_msg(EINVAL, "%s: its symbols have no names", elf->source->path);
	rc = read_section(elf, index, "symbol table", &table, &table_bytes);
	if (rc)
		return rc;
	rc = read_section(elf, link, "table of names", &strings, &strings_bytes);
	if (!rc) {
		rc = add_all(symbols, elf, (struct image_span){ table, table_bytes },
			     (struct image_span){ strings, strings_bytes });
		free(strings);
	}
	free(table);
	return rc;
}

static int read_first_table(struct symbols *symbols, const struct elf *elf)
{
	for (unsigned i = 0; i < elf->section_count; i++)
		if (le32toh(elf->sections[i].sh_type) == SHT_SYMTAB)
			return read_table(symbols, elf, i);
	return -ENODATA;
}

int symbols_read_elf(struct symbols *symbols, const struct image_source *source)
{
	struct elf elf = { .source = source };
	int rc = read_sections(&elf);

	if (rc)
		return rc;
	rc = read_first_table(symbols, &elf);
	free(elf.sections);
	return rc;
}
