// SPDX-License-Identifier: GPL-2.0-or-later
// The GIC's distributor (IHI 0048B 4.3): registers, and the choice for each CPU.
#include <string.h>

#include "gic-internal.h"

// The memory map (table 4-1).
#define GICD_CTLR 0x000
#define GICD_TYPER 0x004
#define GICD_IIDR 0x008
#define GICD_BITMAPS 0x080 // GICD_IGROUPR, the first of enum bitmap
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR 0x800
#define GICD_ICFGR 0xc00
#define GICD_ICFGR_END 0xd00
#define GICD_SGIR 0xf00
#define GICD_CPENDSGIR 0xf10
#define GICD_SPENDSGIR 0xf20
#define GICD_SPENDSGIR_END 0xf30
#define GICD_ID 0xfd0

// Arm's JEP106 code; no product, variant or revision.
#define IIDR 0x0000043b

// The bitmap registers, 0x80 bytes each.
enum bitmap {
	BITMAP_GROUP,
	BITMAP_SET_ENABLE,
	BITMAP_CLEAR_ENABLE,
	BITMAP_SET_PENDING,
	BITMAP_CLEAR_PENDING,
	BITMAP_SET_ACTIVE,
	BITMAP_CLEAR_ACTIVE,
};
#define BITMAP_BYTES 0x80

// -- the choice --

// What may be forwarded to @cpu, but for the target of SPIs.
static uint32_t candidates(const struct gic *gic, const struct gic_bank *bank)
{
	uint32_t map = gic_pending(bank) & bank->enabled & ~bank->active;

	if (!(gic->ctlr & GIC_ENABLE_GROUP0))
		map &= bank->group1;
	if (!(gic->ctlr & GIC_ENABLE_GROUP1))
		map &= ~bank->group1;
	return map;
}

// Of a private interrupt: any CPU that looks at it.
static bool targets(const struct gic *gic, unsigned intid, unsigned cpu)
{
	return intid < GIC_PRIVATE || gic->spi_targets[intid - GIC_PRIVATE] >> cpu & 1;
}

struct gic_forwarded gic_dist_best(struct gic *gic, unsigned cpu)
{
	struct gic_forwarded best = { GIC_SPURIOUS, GIC_IDLE_PRIORITY, false };
	unsigned words = (gic->line_count + 31) / 32;

	for (unsigned word = 0; word < words; word++) {
		const struct gic_bank *bank = gic_bank(gic, cpu, word);

		for (uint32_t map = candidates(gic, bank); map; map &= map - 1) {
			unsigned bit = __builtin_ctz(map);
			unsigned intid = 32 * word + bit;

			if (bank->priority[bit] < best.priority && targets(gic, intid, cpu))
				best = (struct gic_forwarded){ intid, bank->priority[bit],
							       bank->group1 >> bit & 1 };
		}
	}
	return best;
}

// -- bitmaps --

static uint32_t read_bitmap(struct gic *gic, unsigned cpu, unsigned offset)
{
	unsigned word = offset % BITMAP_BYTES / 4;
	const struct gic_bank *bank = gic_bank(gic, cpu, word);

	switch ((enum bitmap)((offset - GICD_BITMAPS) / BITMAP_BYTES)) {
	case BITMAP_GROUP:
		return bank->group1;
	case BITMAP_SET_ENABLE:
	case BITMAP_CLEAR_ENABLE:
		return bank->enabled;
	case BITMAP_SET_PENDING:
	case BITMAP_CLEAR_PENDING:
		return gic_pending(bank);
	case BITMAP_SET_ACTIVE:
	case BITMAP_CLEAR_ACTIVE:
		return bank->active;
	}
	return 0;
}

// SGIs are always enabled (4.3.5 leaves that to us), and are made pending by
// GICD_SGIR and GICD_SPENDSGIR alone (4.3.7).
static void write_bitmap(struct gic *gic, unsigned cpu, unsigned offset, uint32_t value)
{
	unsigned word = offset % BITMAP_BYTES / 4;
	struct gic_bank *bank = gic_bank(gic, cpu, word);
	uint32_t not_sgi = word ? ~0U : ~GIC_SGI_MASK;

	value &= bank->exists;
	switch ((enum bitmap)((offset - GICD_BITMAPS) / BITMAP_BYTES)) {
	case BITMAP_GROUP:
		bank->group1 = value;
		break;
	case BITMAP_SET_ENABLE:
		bank->enabled |= value;
		break;
	case BITMAP_CLEAR_ENABLE:
		bank->enabled &= ~(value & not_sgi);
		break;
	case BITMAP_SET_PENDING:
		bank->latched |= value & not_sgi;
		break;
	case BITMAP_CLEAR_PENDING:
		bank->latched &= ~(value & not_sgi);
		break;
	case BITMAP_SET_ACTIVE:
		bank->active |= value;
		break;
	case BITMAP_CLEAR_ACTIVE:
		bank->active &= ~value;
		break;
	}
}

// -- bytes: priorities, targets, pending SGIs --

void gic_dist_set_sgi(struct gic *gic, unsigned cpu, unsigned intid, uint8_t sources)
{
	struct gic_cpu *iface = &gic->cpus[cpu];
	uint32_t bit = 1U << intid;

	iface->sgi_sources[intid] = sources;
	iface->bank.latched = sources ? iface->bank.latched | bit : iface->bank.latched & ~bit;
}

static bool takes_bytes(unsigned offset)
{
	return (offset >= GICD_IPRIORITYR && offset < GICD_ICFGR) ||
	       (offset >= GICD_CPENDSGIR && offset < GICD_SPENDSGIR_END);
}

static uint8_t read_target(const struct gic *gic, unsigned cpu, unsigned intid)
{
	// A GIC with one CPU has no targets (4.3.12).
	if (gic->cpu_count == 1)
		return 0;
	if (intid < GIC_PRIVATE)
		return 1U << cpu;
	return gic->spi_targets[intid - GIC_PRIVATE];
}

static void write_target(struct gic *gic, unsigned intid, uint8_t value)
{
	if (gic->cpu_count > 1 && intid >= GIC_PRIVATE && gic_exists(gic, intid))
		gic->spi_targets[intid - GIC_PRIVATE] = value & gic_all_cpus(gic);
}

static uint8_t read_byte(struct gic *gic, unsigned cpu, unsigned offset)
{
	if (offset < GICD_ITARGETSR)
		return gic_bank(gic, cpu, (offset - GICD_IPRIORITYR) / 32)->priority[offset % 32];
	if (offset < GICD_ICFGR)
		return read_target(gic, cpu, offset - GICD_ITARGETSR);
	// GICD_CPENDSGIR and GICD_SPENDSGIR
	return gic->cpus[cpu].sgi_sources[offset % GIC_SGIS];
}

static void write_priority(struct gic *gic, unsigned cpu, unsigned intid, uint8_t value)
{
	if (gic_exists(gic, intid))
		gic_bank(gic, cpu, intid / 32)->priority[intid % 32] = value;
}

static void write_byte(struct gic *gic, unsigned cpu, unsigned offset, uint8_t value)
{
	unsigned sgi = offset % GIC_SGIS;
	uint8_t sources = gic->cpus[cpu].sgi_sources[sgi];

	value &= offset < GICD_ICFGR ? 0xff : gic_all_cpus(gic);
	if (offset < GICD_ITARGETSR)
		write_priority(gic, cpu, offset - GICD_IPRIORITYR, value);
	else if (offset < GICD_ICFGR)
		write_target(gic, offset - GICD_ITARGETSR, value);
	else if (offset < GICD_SPENDSGIR)
		gic_dist_set_sgi(gic, cpu, sgi, sources & ~value);
	else
		gic_dist_set_sgi(gic, cpu, sgi, sources | value);
}

static uint32_t read_bytes(struct gic *gic, unsigned cpu, unsigned offset, unsigned size)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)read_byte(gic, cpu, offset + i) << (8 * i);
	return value;
}

static void write_bytes(struct gic *gic, unsigned cpu, unsigned offset, unsigned size,
			uint32_t value)
{
	for (unsigned i = 0; i < size; i++)
		write_byte(gic, cpu, offset + i, value >> (8 * i));
}

// -- configuration: two bits each, the upper one says edge (4.3.13) --

static uint32_t read_config(struct gic *gic, unsigned cpu, unsigned offset)
{
	unsigned intid = (offset - GICD_ICFGR) * 4;
	uint32_t edge = gic_bank(gic, cpu, intid / 32)->edge >> (intid % 32);
	uint32_t value = 0;

	for (unsigned i = 0; i < 16; i++)
		value |= (edge >> i & 1) << (2 * i + 1);
	return value;
}

static void write_config(struct gic *gic, unsigned cpu, unsigned offset, uint32_t value)
{
	unsigned intid = (offset - GICD_ICFGR) * 4;
	struct gic_bank *bank = gic_bank(gic, cpu, intid / 32);
	uint32_t edge = 0, mask = 0xffffU << (intid % 32);

	if (intid < GIC_SGIS)
		return; // always edge
	for (unsigned i = 0; i < 16; i++)
		edge |= (value >> (2 * i + 1) & 1) << i;
	edge <<= intid % 32;
	bank->edge = (bank->edge & ~mask) | (edge & mask & bank->exists);
}

// -- GICD_SGIR (4.3.15) --

static uint8_t sgi_targets(const struct gic *gic, unsigned cpu, uint32_t value)
{
	switch (value >> 24 & 3) {
	case 0:
		return value >> 16 & gic_all_cpus(gic);
	case 1:
		return gic_all_cpus(gic) & ~(1U << cpu);
	case 2:
		return 1U << cpu;
	default: // reserved
		return 0;
	}
}

static void send_sgi(struct gic *gic, unsigned source, uint32_t value)
{
	uint8_t targets = sgi_targets(gic, source, value);
	unsigned intid = value % GIC_SGIS;

	for (unsigned cpu = 0; cpu < gic->cpu_count; cpu++)
		if (targets >> cpu & 1)
			gic_dist_set_sgi(gic, cpu, intid,
					 gic->cpus[cpu].sgi_sources[intid] | 1U << source);
}

// -- all registers --

static uint32_t type_register(const struct gic *gic)
{
	unsigned words = (gic->line_count + 31) / 32;

	return (words - 1) | (gic->cpu_count - 1) << 5;
}

// Peripheral and component identification as a GIC-400 has it; ICPIDR2 (0xfe8) says
// version 2 of the architecture.
static uint32_t id_register(unsigned offset)
{
	static const uint8_t ids[] = {
		0x04, 0x00, 0x00, 0x00, 0x90, 0xb4, 0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1,
	};

	return ids[(offset - GICD_ID) / 4];
}

static uint32_t read_word(struct gic *gic, unsigned cpu, unsigned offset)
{
	if (offset >= GICD_BITMAPS && offset < GICD_IPRIORITYR)
		return read_bitmap(gic, cpu, offset);
	if (offset >= GICD_ICFGR && offset < GICD_ICFGR_END)
		return read_config(gic, cpu, offset);
	if (offset >= GICD_ID)
		return id_register(offset);
	switch (offset) {
	case GICD_CTLR:
		return gic->ctlr;
	case GICD_TYPER:
		return type_register(gic);
	case GICD_IIDR:
		return IIDR;
	default:
		return 0;
	}
}

uint32_t gic_dist_read(struct gic *gic, unsigned cpu, unsigned offset, unsigned size)
{
	if (size != 2 && takes_bytes(offset))
		return read_bytes(gic, cpu, offset, size);
	return size == 4 ? read_word(gic, cpu, offset) : 0;
}

static void write_word(struct gic *gic, unsigned cpu, unsigned offset, uint32_t value)
{
	if (offset >= GICD_BITMAPS && offset < GICD_IPRIORITYR)
		write_bitmap(gic, cpu, offset, value);
	else if (offset >= GICD_ICFGR && offset < GICD_ICFGR_END)
		write_config(gic, cpu, offset, value);
	else if (offset == GICD_CTLR)
		gic->ctlr = value & (GIC_ENABLE_GROUP0 | GIC_ENABLE_GROUP1);
	else if (offset == GICD_SGIR)
		send_sgi(gic, cpu, value);
}

void gic_dist_write(struct gic *gic, unsigned cpu, unsigned offset, unsigned size, uint32_t value)
{
	if (size != 2 && takes_bytes(offset))
		write_bytes(gic, cpu, offset, size, value);
	else if (size == 4)
		write_word(gic, cpu, offset, value);
}

// -- reset --

static void reset_bank(struct gic_bank *bank, uint32_t always)
{
	*bank = (struct gic_bank){
		.exists = bank->exists,
		.level = bank->level,
		.enabled = always,
		.edge = always,
	};
}

void gic_dist_reset(struct gic *gic)
{
	gic->ctlr = 0;
	for (unsigned cpu = 0; cpu < gic->cpu_count; cpu++) {
		reset_bank(&gic->cpus[cpu].bank, GIC_SGI_MASK);
		for (unsigned sgi = 0; sgi < GIC_SGIS; sgi++)
			gic->cpus[cpu].sgi_sources[sgi] = 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(gic->spis); i++)
		reset_bank(&gic->spis[i], 0);
	// One CPU has no register for them.
	memset(gic->spi_targets, gic->cpu_count == 1, sizeof(gic->spi_targets));
}
