// SPDX-License-Identifier: GPL-2.0-or-later
// A hart's own interrupt inputs, where the PLIC or the IMSICs are wired to them.
#ifndef KVIK_RISCV_INTC_H
#define KVIK_RISCV_INTC_H

#include <stdint.h>

struct fdt_writer;

// Writes "interrupts-extended": the external interrupts of all @harts; hart n's node
// has the phandle @first_phandle + n.
void intc_describe_wires(struct fdt_writer *fdt, uint32_t first_phandle, unsigned harts);

#endif
