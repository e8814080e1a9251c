// SPDX-License-Identifier: GPL-2.0-or-later
// The GIC's CPU interfaces (IHI 0048B 4.4): acknowledge, end, preemption.
//
// The active priority registers are the truth about what runs: a bit for each of 128
// preemption levels, set by an acknowledge and cleared by the drop of priority. As
// levels are only ever entered upwards, the lowest bit is the running priority.
#include "gic-internal.h"

// The memory map (table 4-2).
#define GICC_CTLR 0x0000
#define GICC_PMR 0x0004
#define GICC_BPR 0x0008
#define GICC_IAR 0x000c
#define GICC_EOIR 0x0010
#define GICC_RPR 0x0014
#define GICC_HPPIR 0x0018
#define GICC_ABPR 0x001c
#define GICC_AIAR 0x0020
#define GICC_AEOIR 0x0024
#define GICC_AHPPIR 0x0028
#define GICC_APR 0x00d0
#define GICC_NSAPR 0x00e0
#define GICC_NSAPR_END 0x00f0
#define GICC_IIDR 0x00fc
#define GICC_DIR 0x1000

// GICC_CTLR (4.4.1); there is no bypass, so its bits are not there either.
#define CTLR_ACK_CTL (1U << 2)
#define CTLR_FIQ_EN (1U << 3)
#define CTLR_CBPR (1U << 4)
#define CTLR_EOI_MODE (1U << 9)
#define CTLR_MASK                                                                         \
	(GIC_ENABLE_GROUP0 | GIC_ENABLE_GROUP1 | CTLR_ACK_CTL | CTLR_FIQ_EN | CTLR_CBPR | \
	 CTLR_EOI_MODE)

#define IIDR 0x0002043b // GICv2, by Arm's JEP106 code

#define IDLE_RPR 0xff
#define MIN_GROUP1_BINARY_POINT 1U // one above that of group 0 (4.4.8)

// -- priorities (3.3) --

// 0 (highest) to 127, or -1: none.
static int running_level(const struct gic_cpu *iface)
{
	for (unsigned i = 0; i < GIC_APR_WORDS; i++) {
		uint32_t apr = iface->apr[0][i] | iface->apr[1][i];

		if (apr)
			return 32 * i + __builtin_ctz(apr);
	}
	return -1;
}

static unsigned running_priority(const struct gic_cpu *iface)
{
	int level = running_level(iface);

	return level < 0 ? GIC_IDLE_PRIORITY : level * 2;
}

// The part of the priority that decides about preemption (tables 3-2 and 3-3).
static unsigned group_priority(const struct gic_cpu *iface, const struct gic_forwarded *best)
{
	bool own = best->group1 && !(iface->ctlr & CTLR_CBPR);
	unsigned below = own ? iface->binary_point[1] : iface->binary_point[0] + 1U;

	return best->priority >> below << below;
}

static bool is_enabled(const struct gic_cpu *iface, const struct gic_forwarded *best)
{
	return iface->ctlr & (best->group1 ? GIC_ENABLE_GROUP1 : GIC_ENABLE_GROUP0);
}

static bool is_signalled(const struct gic_cpu *iface, const struct gic_forwarded *best)
{
	return best->intid != GIC_SPURIOUS && is_enabled(iface, best) &&
	       best->priority < iface->priority_mask &&
	       group_priority(iface, best) < running_priority(iface);
}

void gic_cpu_outputs(struct gic *gic, unsigned cpu, bool *irq, bool *fiq)
{
	const struct gic_cpu *iface = &gic->cpus[cpu];
	struct gic_forwarded best = gic_dist_best(gic, cpu);
	bool signalled = is_signalled(iface, &best);
	bool by_fiq = !best.group1 && (iface->ctlr & CTLR_FIQ_EN);

	*irq = signalled && !by_fiq;
	*fiq = signalled && by_fiq;
}

// -- acknowledge --

// The value of GICC_IAR for an SGI also names the lowest CPU that has sent it.
static uint32_t id_with_source(const struct gic_cpu *iface, unsigned intid)
{
	if (intid >= GIC_SGIS || !iface->sgi_sources[intid])
		return intid;
	return intid | __builtin_ctz(iface->sgi_sources[intid]) << 10;
}

// A line that is high keeps its interrupt pending: then it is active and pending.
static void take(struct gic *gic, unsigned cpu, const struct gic_forwarded *best)
{
	struct gic_cpu *iface = &gic->cpus[cpu];
	struct gic_bank *bank = gic_bank(gic, cpu, best->intid / 32);
	unsigned level = group_priority(iface, best) / 2;
	uint32_t bit = 1U << (best->intid % 32);

	iface->apr[best->group1][level / 32] |= 1U << (level % 32);
	bank->active |= bit;
	if (best->intid < GIC_SGIS) {
		uint8_t sources = iface->sgi_sources[best->intid];

		gic_dist_set_sgi(gic, cpu, best->intid, sources & (sources - 1));
	} else {
		bank->latched &= ~bit;
	}
}

// What a register shows of @best: those without an alias show group 1 only when AckCtl
// says so, the aliased ones show group 1 only (4.4.4, 4.4.9).
static unsigned visible_id(const struct gic_cpu *iface, const struct gic_forwarded *best,
			   bool aliased)
{
	if (best->intid == GIC_SPURIOUS)
		return GIC_SPURIOUS;
	if (aliased)
		return best->group1 ? best->intid : GIC_SPURIOUS;
	if (best->group1 && !(iface->ctlr & CTLR_ACK_CTL))
		return GIC_GROUP1_PENDING;
	return best->intid;
}

static uint32_t acknowledge(struct gic *gic, unsigned cpu, bool aliased)
{
	const struct gic_cpu *iface = &gic->cpus[cpu];
	struct gic_forwarded best = gic_dist_best(gic, cpu);
	unsigned intid;
	uint32_t value;

	if (!is_signalled(iface, &best))
		return GIC_SPURIOUS;
	intid = visible_id(iface, &best, aliased);
	value = id_with_source(iface, intid);
	if (intid == best.intid)
		take(gic, cpu, &best);
	return value;
}

// Whatever the mask and the running priority are.
static uint32_t highest_pending(struct gic *gic, unsigned cpu, bool aliased)
{
	const struct gic_cpu *iface = &gic->cpus[cpu];
	struct gic_forwarded best = gic_dist_best(gic, cpu);

	if (!is_enabled(iface, &best))
		return GIC_SPURIOUS;
	return id_with_source(iface, visible_id(iface, &best, aliased));
}

// -- end of interrupt --

static bool is_group1(struct gic *gic, unsigned cpu, unsigned intid)
{
	return gic_bank(gic, cpu, intid / 32)->group1 >> (intid % 32) & 1;
}

static void deactivate(struct gic *gic, unsigned cpu, unsigned intid)
{
	gic_bank(gic, cpu, intid / 32)->active &= ~(1U << (intid % 32));
}

static void drop_priority(struct gic_cpu *iface, bool group1)
{
	for (unsigned i = 0; i < GIC_APR_WORDS; i++) {
		uint32_t *apr = &iface->apr[group1][i];

		if (*apr) {
			*apr &= *apr - 1;
			return;
		}
	}
}

// The priority drops by one level whatever the INTID: it must be the one of the last
// acknowledge, anything else is UNPREDICTABLE (4.4.5). So is an end when nothing runs,
// which does nothing here, and the end of group 1 with AckCtl 0, which works.
static void end_interrupt(struct gic *gic, unsigned cpu, uint32_t value, bool aliased)
{
	struct gic_cpu *iface = &gic->cpus[cpu];
	unsigned intid = value & 0x3ff;
	bool group1;

	if (!gic_exists(gic, intid) || running_level(iface) < 0)
		return;
	group1 = is_group1(gic, cpu, intid);
	if (aliased && !group1)
		return;
	drop_priority(iface, group1);
	if (!(iface->ctlr & CTLR_EOI_MODE))
		deactivate(gic, cpu, intid);
}

// UNPREDICTABLE unless EOImode is set (4.4.15).
static void write_deactivate(struct gic *gic, unsigned cpu, uint32_t value)
{
	unsigned intid = value & 0x3ff;

	if ((gic->cpus[cpu].ctlr & CTLR_EOI_MODE) && gic_exists(gic, intid))
		deactivate(gic, cpu, intid);
}

// -- registers --

static uint32_t *active_priorities(struct gic_cpu *iface, unsigned offset)
{
	if (offset < GICC_APR || offset >= GICC_NSAPR_END)
		return NULL;
	return &iface->apr[offset >= GICC_NSAPR][offset % 16 / 4];
}

static uint32_t read_running_priority(const struct gic_cpu *iface)
{
	unsigned priority = running_priority(iface);

	return priority == GIC_IDLE_PRIORITY ? IDLE_RPR : priority;
}

uint32_t gic_cpu_read(struct gic *gic, unsigned cpu, unsigned offset)
{
	struct gic_cpu *iface = &gic->cpus[cpu];
	const uint32_t *apr = active_priorities(iface, offset);

	if (apr)
		return *apr;
	switch (offset) {
	case GICC_CTLR:
		return iface->ctlr;
	case GICC_PMR:
		return iface->priority_mask;
	case GICC_BPR:
		return iface->binary_point[0];
	case GICC_ABPR:
		return iface->binary_point[1];
	case GICC_IAR:
	case GICC_AIAR:
		return acknowledge(gic, cpu, offset == GICC_AIAR);
	case GICC_RPR:
		return read_running_priority(iface);
	case GICC_HPPIR:
	case GICC_AHPPIR:
		return highest_pending(gic, cpu, offset == GICC_AHPPIR);
	case GICC_IIDR:
		return IIDR;
	default:
		return 0;
	}
}

void gic_cpu_write(struct gic *gic, unsigned cpu, unsigned offset, uint32_t value)
{
	struct gic_cpu *iface = &gic->cpus[cpu];
	uint32_t *apr = active_priorities(iface, offset);

	if (apr)
		*apr = value;
	switch (offset) {
	case GICC_CTLR:
		iface->ctlr = value & CTLR_MASK;
		break;
	case GICC_PMR:
		iface->priority_mask = value;
		break;
	case GICC_BPR:
		iface->binary_point[0] = value & 7;
		break;
	case GICC_ABPR:
		iface->binary_point[1] = MAX(value & 7, MIN_GROUP1_BINARY_POINT);
		break;
	case GICC_EOIR:
	case GICC_AEOIR:
		end_interrupt(gic, cpu, value, offset == GICC_AEOIR);
		break;
	case GICC_DIR:
		write_deactivate(gic, cpu, value);
		break;
	}
}

void gic_cpu_reset(struct gic_cpu *iface)
{
	iface->ctlr = 0;
	iface->priority_mask = 0;
	iface->binary_point[0] = 0;
	iface->binary_point[1] = MIN_GROUP1_BINARY_POINT;
	for (unsigned i = 0; i < GIC_APR_WORDS; i++)
		iface->apr[0][i] = iface->apr[1][i] = 0;
}
