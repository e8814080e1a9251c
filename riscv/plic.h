// SPDX-License-Identifier: GPL-2.0-or-later
// The platform-level interrupt controller (RISC-V PLIC specification 1.0.0).
//
// One context for each hart: its S mode. Sources are level-triggered unless
// plic_set_edge() says otherwise.
#ifndef KVIK_RISCV_PLIC_H
#define KVIK_RISCV_PLIC_H

#include <stdint.h>

#include "irq.h"
#include "util.h"

struct bus;
struct fdt_writer;
struct plic;
struct vcpu_set;

#define PLIC_MAX_SOURCES 1024 // source 0 included, which does not exist
#define PLIC_MAX_PRIORITY 7
#define PLIC_MAX_CONTEXTS 15872

struct plic_config {
	uint64_t base;
	unsigned sources;       // highest source number + 1
	unsigned contexts;      // harts
	struct vcpu_set *vcpus; // each context drives the hart of its number
};

// Main thread, vCPUs stopped, except where noted. plic_create() puts the registers
// on @bus, which must not be used after plic_free().
int plic_create(struct plic **out, struct bus *bus, const struct plic_config *config) MUST_CHECK;
void plic_free(struct plic *plic);
// Back to power on. Lines keep the level that their devices drive.
void plic_reset(struct plic *plic);
struct irqchip *plic_irqchip(struct plic *plic);
// An interrupt for each rising edge instead of for as long as the line is high.
void plic_set_edge(struct plic *plic, unsigned source);
// The node, with @sources usable sources; the phandle of hart n's interrupt
// controller is @intc_phandle + n.
void plic_describe(struct plic *plic, struct fdt_writer *fdt, unsigned sources,
		   uint32_t intc_phandle);

#endif
