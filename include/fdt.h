// SPDX-License-Identifier: GPL-2.0-or-later
// Writing a flattened device tree, over libfdt's sequential writer.
//
// An error sticks: the writer does nothing more and fdt_writer_finish() reports
// it. One thread at a time.
#ifndef KVIK_FDT_H
#define KVIK_FDT_H

#include <stddef.h>
#include <stdint.h>

#include "irq.h"
#include "util.h"

struct fdt_writer {
	void *blob;
	size_t size_bytes;
	unsigned depth; // open nodes
	int error;      // a libfdt error, 0 when all went well so far
};

// Starts a tree in @blob of @size_bytes (caller's storage); opens the root node.
void fdt_writer_init(struct fdt_writer *fdt, void *blob, size_t size_bytes);
// Closes the root and finishes the tree. Returns 0 or -ENOSPC / -EINVAL.
int fdt_writer_finish(struct fdt_writer *fdt) MUST_CHECK;

void fdt_node(struct fdt_writer *fdt, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fdt_end(struct fdt_writer *fdt);
void fdt_flag(struct fdt_writer *fdt, const char *name);
void fdt_u32(struct fdt_writer *fdt, const char *name, uint32_t value);
void fdt_u64(struct fdt_writer *fdt, const char *name, uint64_t value);
void fdt_cells(struct fdt_writer *fdt, const char *name, const uint32_t *cells, unsigned count);
// Not fdt_string(): that is a function of libfdt, and the linker would mix them up.
void fdt_str(struct fdt_writer *fdt, const char *name, const char *value);
// Strings one after the other, each with its NUL; @size_bytes counts them all.
void fdt_strings(struct fdt_writer *fdt, const char *name, const char *values, size_t size_bytes);
void fdt_bytes(struct fdt_writer *fdt, const char *name, const void *data, size_t size_bytes);
// "reg" with two address and two size cells.
void fdt_reg(struct fdt_writer *fdt, uint64_t base, uint64_t size_bytes);
// "interrupts" and "interrupt-parent" for a line; nothing if it is not connected.
void fdt_interrupt(struct fdt_writer *fdt, const struct irq_line *line);

#endif
