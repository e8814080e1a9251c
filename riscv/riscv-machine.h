// SPDX-License-Identifier: GPL-2.0-or-later
// The riscv64 machine's memory map and the state its parts share; private to riscv/.
#ifndef KVIK_RISCV_RISCV_MACHINE_H
#define KVIK_RISCV_RISCV_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "aia.h"
#include "boot.h"
#include "hw.h"
#include "machine.h"
#include "plic.h"
#include "sbi.h"
#include "util.h"

// The map; its picture stands at the head of machine.c.
#define RISCV_SYSCON_BASE 0x00100000ULL
#define RISCV_RTC_BASE 0x00101000ULL
#define RISCV_PLIC_BASE 0x0c000000ULL
#define RISCV_SERIAL_BASE 0x10000000ULL
#define RISCV_VIRTIO_BASE 0x10001000ULL
#define RISCV_VIRTIO_STRIDE 0x1000ULL
#define RISCV_VIRTIO_SLOTS 512
#define RISCV_APLIC_BASE 0x20000000ULL
#define RISCV_IMSIC_BASE 0x28000000ULL // hart 0's
#define RISCV_RAM_BASE 0x80000000ULL
// Physical addresses end at 2^40.
#define RISCV_RAM_MAX_BYTES ((1ULL << 40) - RISCV_RAM_BASE)
#define RISCV_RAM_MIN_BYTES (8 * MIB)

#define RISCV_MAX_HARTS SBI_MAX_HARTS

// PLIC sources.
enum {
	RISCV_IRQ_SERIAL = 1,
	RISCV_IRQ_RTC = 2,
	RISCV_IRQ_VIRTIO = 8, // the first slot's
	RISCV_IRQ_COUNT = RISCV_IRQ_VIRTIO + RISCV_VIRTIO_SLOTS
};

// Phandles of nodes that are no device; a device's own is its base address.
#define RISCV_INTC_PHANDLE(hart) (1 + (hart))

struct riscv_machine {
	struct plic *plic; // one of these two is there
	struct aia *aia;
	unsigned irq_count; // highest source number + 1
	struct sbi sbi;
	unsigned virtio_slots; // handed out so far
	struct boot boot;      // what load() put into RAM
};

// The highest source number of a device, + 1.
static inline unsigned riscv_irqs_in_use(const struct riscv_machine *priv)
{
	return RISCV_IRQ_VIRTIO + priv->virtio_slots;
}

static inline struct riscv_machine *riscv_machine_priv(const struct machine *machine)
{
	return machine->priv;
}

// fdt.c: as boot_source.write_tree; @opaque is the machine.
int riscv_fdt_write(struct fdt_writer *fdt, const struct boot *boot, void *opaque) MUST_CHECK;

// isa.c: "rv64imafdc_zicsr..." from the names in @extensions, in canonical order.
// Returns 0 or -ENOSPC without a message.
int riscv_isa_string(const char *const *extensions, char *text, size_t size) MUST_CHECK;

#endif
