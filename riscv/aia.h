// SPDX-License-Identifier: GPL-2.0-or-later
// The advanced interrupt architecture (AIA 1.0) of an accelerator, as the machine
// sees it: one APLIC in MSI mode in front of an IMSIC a hart.
#ifndef KVIK_RISCV_AIA_H
#define KVIK_RISCV_AIA_H

#include <stdint.h>

#include "irq.h"
#include "util.h"

struct accel;
struct aia;
struct fdt_writer;

// Main thread, vCPUs made and stopped. The accelerator has an AIA.
int aia_create(struct aia **out, struct accel *accel, uint64_t aplic_base, uint64_t imsic_base)
	MUST_CHECK;
// No source has a higher number than this.
unsigned aia_sources_max(const struct aia *aia);
// Brings it to life with sources 1 to @sources, once; before that no line does
// anything. No more than are in use: a guest sets up each one, and each MSI identity.
int aia_start(struct aia *aia, unsigned sources) MUST_CHECK;
void aia_free(struct aia *aia);
void aia_reset(struct aia *aia);
struct irqchip *aia_irqchip(struct aia *aia);
// Both nodes; the phandle of hart n's interrupt controller is @intc_phandle + n.
void aia_describe(const struct aia *aia, struct fdt_writer *fdt, uint32_t intc_phandle);

#endif
