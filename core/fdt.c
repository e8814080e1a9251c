// SPDX-License-Identifier: GPL-2.0-or-later
// Writing a flattened device tree, over libfdt's sequential writer.

#include "fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

#define NODE_NAME_SIZE 64 // the specification allows 31 and a unit address
#define MAX_CELLS 256

// Keeps the first error.
static void note(struct fdt_writer *fdt, int error)
{
	if (!fdt->error)
		fdt->error = error;
}

void fdt_writer_init(struct fdt_writer *fdt, void *blob, size_t size_bytes)
{
	*fdt = (struct fdt_writer){ .blob = blob, .size_bytes = size_bytes };
	note(fdt, fdt_create(blob, MIN(size_bytes, (size_t)INT_MAX)));
	if (!fdt->error)
		note(fdt, fdt_finish_reservemap(blob));
	fdt_node(fdt, "%s", "");
}

int fdt_writer_finish(struct fdt_writer *fdt)
{
	fdt_end(fdt);
	if (fdt->depth)
		note(fdt, -FDT_ERR_BADSTRUCTURE);
	if (!fdt->error)
		note(fdt, fdt_finish(fdt->blob));
	if (!fdt->error)
		return 0;
	return fail_msg(fdt->error == -FDT_ERR_NOSPACE ? ENOSPC : EINVAL, "device tree: %s",
			fdt_strerror(fdt->error));
}

void fdt_node(struct fdt_writer *fdt, const char *fmt, ...)
{
	char name[NODE_NAME_SIZE];
	va_list args;
	int len;

	if (fdt->error)
		return;
	va_start(args, fmt);
	len = vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(name))
		note(fdt, -FDT_ERR_BADVALUE);
	else
		note(fdt, fdt_begin_node(fdt->blob, name));
	fdt->depth++;
}

void fdt_end(struct fdt_writer *fdt)
{
	if (fdt->error)
		return;
	// libfdt does not count them itself.
	if (!fdt->depth) {
		note(fdt, -FDT_ERR_BADSTRUCTURE);
		return;
	}
	fdt->depth--;
	note(fdt, fdt_end_node(fdt->blob));
}

void fdt_bytes(struct fdt_writer *fdt, const char *name, const void *data, size_t size_bytes)
{
	if (fdt->error)
		return;
	if (size_bytes > fdt->size_bytes)
		note(fdt, -FDT_ERR_NOSPACE);
	else
		note(fdt, fdt_property(fdt->blob, name, data, size_bytes));
}

void fdt_flag(struct fdt_writer *fdt, const char *name)
{
	fdt_bytes(fdt, name, "", 0);
}

void fdt_cells(struct fdt_writer *fdt, const char *name, const uint32_t *cells, unsigned count)
{
	fdt32_t big_endian[MAX_CELLS];

	if (count > MAX_CELLS) {
		note(fdt, -FDT_ERR_BADVALUE);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		big_endian[i] = cpu_to_fdt32(cells[i]);
	fdt_bytes(fdt, name, big_endian, count * sizeof(big_endian[0]));
}

void fdt_u32(struct fdt_writer *fdt, const char *name, uint32_t value)
{
	fdt_cells(fdt, name, &value, 1);
}

void fdt_u64(struct fdt_writer *fdt, const char *name, uint64_t value)
{
	const uint32_t cells[] = { value >> 32, value };

	fdt_cells(fdt, name, cells, ARRAY_SIZE(cells));
}

void fdt_str(struct fdt_writer *fdt, const char *name, const char *value)
{
	fdt_bytes(fdt, name, value, strlen(value) + 1);
}

void fdt_strings(struct fdt_writer *fdt, const char *name, const char *values, size_t size_bytes)
{
	fdt_bytes(fdt, name, values, size_bytes);
}

void fdt_reg(struct fdt_writer *fdt, uint64_t base, uint64_t size_bytes)
{
	const uint32_t cells[] = { base >> 32, base, size_bytes >> 32, size_bytes };

	fdt_cells(fdt, "reg", cells, ARRAY_SIZE(cells));
}

void fdt_interrupt(struct fdt_writer *fdt, const struct irq_line *line)
{
	const struct irqchip *chip = line->chip;
	uint32_t cells[4];

	if (!chip)
		return;
	fdt_u32(fdt, "interrupt-parent", chip->fdt_phandle);
	fdt_cells(fdt, "interrupts", cells,
		  chip->ops->fdt_interrupt(chip, line->number, line->edge, cells));
}
