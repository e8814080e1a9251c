// SPDX-License-Identifier: GPL-2.0-or-later
// A hart's own interrupt inputs, where the PLIC or the IMSICs are wired to them.

#include "intc.h"

#include <endian.h>
#include <libfdt.h>
#include <stdlib.h>

#include "fdt.h"
#include "riscv-accel.h"

void intc_describe_wires(struct fdt_writer *fdt, uint32_t first_phandle, unsigned harts)
{
	uint32_t *cells = calloc(harts, 2 * sizeof(*cells));

	if (!cells) {
		fdt->error = fdt->error ? fdt->error : -FDT_ERR_NOSPACE;
		return;
	}
	for (unsigned i = 0; i < harts; i++) {
		cells[2 * i] = htobe32(first_phandle + i);
		cells[2 * i + 1] = htobe32(RISCV_IRQ_S_EXT);
	}
	fdt_bytes(fdt, "interrupts-extended", cells, 2 * harts * sizeof(*cells));
	free(cells);
}
