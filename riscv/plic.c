// SPDX-License-Identifier: GPL-2.0-or-later
// The platform-level interrupt controller (RISC-V PLIC specification 1.0.0).
//
// A source's gateway forwards one request at a time: it sets the pending bit, then
// waits for the completion of that interrupt before it looks at its line again.
// A level gateway forwards once more if the line is still high; an edge gateway if
// an edge has come meanwhile. A claim, by any context that has the source enabled,
// clears the pending bit.
//
// The lock is a leaf: lines are raised by any thread, with other locks held.
#include "plic.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "device.h"
#include "fdt.h"
#include "intc.h"
#include "log.h"
#include "riscv-accel.h"
#include "vcpu.h"

// The memory map (PLIC 1.0.0 ch. 3).
#define PRIORITY_BASE 0x000000
#define PENDING_BASE 0x001000
#define PENDING_END 0x001080
#define ENABLE_BASE 0x002000
#define ENABLE_STRIDE 0x80
#define ENABLE_END 0x1f2000
#define CONTEXT_BASE 0x200000
#define CONTEXT_STRIDE 0x1000
#define CONTEXT_THRESHOLD 0x0
#define CONTEXT_CLAIM 0x4

#define WORDS (PLIC_MAX_SOURCES / 32)

struct plic_context {
	uint32_t enable[WORDS];
	uint8_t threshold;
	bool asserted; // level of the hart's external interrupt
};

struct plic {
	struct device dev; // on the bus, but in no device list
	struct irqchip chip;
	struct vcpu_set *vcpus;
	unsigned sources;
	unsigned context_count;
	pthread_mutex_t lock; // guards the rest
	uint8_t priority[PLIC_MAX_SOURCES];
	// Bitmaps by source.
	uint32_t level[WORDS];      // the line as its device drives it
	uint32_t edge[WORDS];       // kind of gateway
	uint32_t pending[WORDS];    // the IP bits
	uint32_t in_service[WORDS]; // claimed, not yet completed
	uint32_t missed[WORDS];     // edge: another one came before completion
	struct plic_context contexts[];
};

static bool test_bit(const uint32_t *map, unsigned source)
{
	return map[source / 32] >> (source % 32) & 1;
}

static void write_bit(uint32_t *map, unsigned source, bool value)
{
	uint32_t bit = 1U << (source % 32);

	map[source / 32] = value ? map[source / 32] | bit : map[source / 32] & ~bit;
}

// Highest priority above @above among what is pending and enabled; the lowest
// number wins among equals. 0: none, which priority 0 always is.
static unsigned best_source(const struct plic *plic, const struct plic_context *context,
			    unsigned above)
{
	unsigned best = 0;

	for (unsigned word = 0; word < WORDS; word++) {
		uint32_t candidates = plic->pending[word] & context->enable[word];

		for (; candidates; candidates &= candidates - 1) {
			unsigned source = word * 32 + __builtin_ctz(candidates);

			if (plic->priority[source] > above) {
				above = plic->priority[source];
				best = source;
			}
		}
	}
	return best;
}

static void update_context(struct plic *plic, unsigned index)
{
	struct plic_context *context = &plic->contexts[index];
	bool high = best_source(plic, context, context->threshold);
	struct vcpu_set *vcpus = plic->vcpus;

	if (high == context->asserted)
		return;
	context->asserted = high;
	vcpus->accel->ops->irq(&vcpus->vcpus[index], RISCV_IRQ_S_EXT, high);
}

static void update_all(struct plic *plic)
{
	for (unsigned i = 0; i < plic->context_count; i++)
		update_context(plic, i);
}

// For a change that only concerns contexts with @source enabled.
static void update_source(struct plic *plic, unsigned source)
{
	for (unsigned i = 0; i < plic->context_count; i++)
		if (test_bit(plic->contexts[i].enable, source))
			update_context(plic, i);
}

// -- gateways --

static void forward(struct plic *plic, unsigned source)
{
	write_bit(plic->pending, source, true);
	update_source(plic, source);
}

static void rising(struct plic *plic, unsigned source)
{
	bool busy = test_bit(plic->pending, source) || test_bit(plic->in_service, source);

	if (!busy)
		forward(plic, source);
	else if (test_bit(plic->edge, source))
		write_bit(plic->missed, source, true);
}

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
	struct plic *plic = container_of(chip, struct plic, chip);

	if (!number || number >= plic->sources)
		return;
	pthread_mutex_lock(&plic->lock);
	if (high != test_bit(plic->level, number)) {
		write_bit(plic->level, number, high);
		if (high)
			rising(plic, number);
	}
	pthread_mutex_unlock(&plic->lock);
}

// -- claim and complete (ch. 9, 10) --

// The threshold does not matter here, only for the notification.
static uint32_t claim(struct plic *plic, struct plic_context *context)
{
	unsigned source = best_source(plic, context, 0);

	if (!source)
		return 0;
	write_bit(plic->pending, source, false);
	write_bit(plic->in_service, source, true);
	update_source(plic, source);
	return source;
}

static void complete(struct plic *plic, const struct plic_context *context, uint32_t source)
{
	const uint32_t *again;

	// Ignored unless the source is enabled for this context, whoever claimed it.
	if (source >= plic->sources || !test_bit(context->enable, source) ||
	    !test_bit(plic->in_service, source))
		return;
	write_bit(plic->in_service, source, false);
	again = test_bit(plic->edge, source) ? plic->missed : plic->level;
	if (test_bit(again, source))
		forward(plic, source);
	write_bit(plic->missed, source, false);
}

// -- registers --

// Sources of the bitmap word @word that exist: never 0, never beyond the last.
static uint32_t valid_mask(const struct plic *plic, unsigned word)
{
	unsigned first = word * 32;
	uint32_t mask = word ? ~0U : ~1U;

	if (plic->sources <= first)
		return 0;
	return plic->sources - first >= 32 ? mask : mask & ((1U << (plic->sources - first)) - 1);
}

static uint32_t *enable_word(struct plic *plic, uint64_t offset, unsigned *word)
{
	unsigned context = (offset - ENABLE_BASE) / ENABLE_STRIDE;

	*word = (offset - ENABLE_BASE) % ENABLE_STRIDE / 4;
	return context < plic->context_count ? &plic->contexts[context].enable[*word] : NULL;
}

static struct plic_context *context_at(struct plic *plic, uint64_t offset)
{
	uint64_t index = (offset - CONTEXT_BASE) / CONTEXT_STRIDE;

	return index < plic->context_count ? &plic->contexts[index] : NULL;
}

static uint32_t read_context(struct plic *plic, uint64_t offset)
{
	struct plic_context *context = context_at(plic, offset);

	if (!context)
		return 0;
	switch (offset % CONTEXT_STRIDE) {
	case CONTEXT_THRESHOLD:
		return context->threshold;
	case CONTEXT_CLAIM:
		return claim(plic, context);
	default:
		return 0;
	}
}

static void write_context(struct plic *plic, uint64_t offset, uint32_t value)
{
	struct plic_context *context = context_at(plic, offset);

	if (!context)
		return;
	switch (offset % CONTEXT_STRIDE) {
	case CONTEXT_THRESHOLD:
		context->threshold = value & PLIC_MAX_PRIORITY;
		update_context(plic, context - plic->contexts);
		break;
	case CONTEXT_CLAIM:
		complete(plic, context, value);
		break;
	}
}

static void write_priority(struct plic *plic, unsigned source, uint32_t value)
{
	if (!source || source >= plic->sources)
		return;
	// WARL: only the low bits exist.
	plic->priority[source] = value & PLIC_MAX_PRIORITY;
	update_source(plic, source);
}

static void write_enable(struct plic *plic, uint64_t offset, uint32_t value)
{
	unsigned word;
	uint32_t *enable = enable_word(plic, offset, &word);

	if (!enable)
		return;
	*enable = value & valid_mask(plic, word);
	update_context(plic, (offset - ENABLE_BASE) / ENABLE_STRIDE);
}

static uint32_t read_register(struct plic *plic, uint64_t offset)
{
	unsigned word;
	uint32_t *enable;

	if (offset < PENDING_BASE)
		return plic->priority[offset / 4];
	if (offset < PENDING_END)
		return plic->pending[(offset - PENDING_BASE) / 4];
	if (offset >= CONTEXT_BASE)
		return read_context(plic, offset);
	if (offset < ENABLE_BASE || offset >= ENABLE_END)
		return 0;
	enable = enable_word(plic, offset, &word);
	return enable ? *enable : 0;
}

static void write_register(struct plic *plic, uint64_t offset, uint32_t value)
{
	if (offset < PENDING_BASE)
		write_priority(plic, offset / 4, value);
	else if (offset >= CONTEXT_BASE)
		write_context(plic, offset, value);
	else if (offset >= ENABLE_BASE && offset < ENABLE_END)
		write_enable(plic, offset, value);
	// The pending bits are read-only.
}

static struct plic *from_region(struct io_region *region)
{
	return container_of(region->device, struct plic, dev);
}

static uint64_t plic_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct plic *plic = from_region(region);
	uint32_t value;

	pthread_mutex_lock(&plic->lock);
	value = read_register(plic, offset);
	pthread_mutex_unlock(&plic->lock);
	return value;
}

static void plic_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct plic *plic = from_region(region);

	pthread_mutex_lock(&plic->lock);
	write_register(plic, offset, value);
	pthread_mutex_unlock(&plic->lock);
}

static const struct io_ops plic_io = {
	.read = plic_read,
	.write = plic_write,
	.min_size = 4,
	.max_size = 4,
};

// -- life --

static unsigned fdt_interrupt_cells(const struct irqchip *chip, unsigned number, bool edge,
				    uint32_t cells[4])
{
	cells[0] = number;
	return 1;
}

static const struct irqchip_ops plic_chip_ops = {
	.set_line = set_line,
	.fdt_interrupt = fdt_interrupt_cells,
};

int plic_create(struct plic **out, struct bus *bus, const struct plic_config *config)
{
	uint64_t size_bytes = CONTEXT_BASE + (uint64_t)config->contexts * CONTEXT_STRIDE;
	struct plic *plic =
		calloc(1, sizeof(*plic) + config->contexts * sizeof(struct plic_context));
	int rc;

	assert(config->sources <= PLIC_MAX_SOURCES && config->contexts <= PLIC_MAX_CONTEXTS);
	if (!plic)
		return fail(ENOMEM, "make the PLIC");
	plic->vcpus = config->vcpus;
	plic->sources = config->sources;
	plic->context_count = config->contexts;
	plic->chip = (struct irqchip){ &plic_chip_ops, config->base };
	pthread_mutex_init(&plic->lock, NULL);
	device_init(&plic->dev, "plic", NULL, &plic_io, config->base, size_bytes,
		    (struct irq_line){ 0 });
	rc = bus_add(bus, &plic->dev.region);
	if (rc)
		plic_free(plic);
	else
		*out = plic;
	return rc;
}

void plic_free(struct plic *plic)
{
	if (!plic)
		return;
	device_exit(&plic->dev);
	pthread_mutex_destroy(&plic->lock);
	free(plic);
}

void plic_reset(struct plic *plic)
{
	pthread_mutex_lock(&plic->lock);
	memset(plic->priority, 0, sizeof(plic->priority));
	memset(plic->in_service, 0, sizeof(plic->in_service));
	memset(plic->missed, 0, sizeof(plic->missed));
	// A level gateway whose line is high forwards at once.
	for (unsigned word = 0; word < WORDS; word++)
		plic->pending[word] = plic->level[word] & ~plic->edge[word];
	for (unsigned i = 0; i < plic->context_count; i++) {
		memset(plic->contexts[i].enable, 0, sizeof(plic->contexts[i].enable));
		plic->contexts[i].threshold = 0;
	}
	update_all(plic);
	pthread_mutex_unlock(&plic->lock);
}

struct irqchip *plic_irqchip(struct plic *plic)
{
	return &plic->chip;
}

void plic_set_edge(struct plic *plic, unsigned source)
{
	pthread_mutex_lock(&plic->lock);
	if (source < plic->sources)
		write_bit(plic->edge, source, true);
	pthread_mutex_unlock(&plic->lock);
}

void plic_describe(struct plic *plic, struct fdt_writer *fdt, unsigned sources,
		   uint32_t intc_phandle)
{
	static const char compatible[] = "sifive,plic-1.0.0\0riscv,plic0";

	fdt_node(fdt, "interrupt-controller@%llx", (unsigned long long)plic->dev.region.base);
	fdt_strings(fdt, "compatible", compatible, sizeof(compatible));
	fdt_reg(fdt, plic->dev.region.base, plic->dev.region.size_bytes);
	fdt_flag(fdt, "interrupt-controller");
	fdt_u32(fdt, "#interrupt-cells", 1);
	fdt_u32(fdt, "#address-cells", 0);
	// Each context's parent: a hart's interrupt controller and its line.
	intc_describe_wires(fdt, intc_phandle, plic->context_count);
	fdt_u32(fdt, "riscv,ndev", sources - 1);
	fdt_u32(fdt, "phandle", plic->chip.fdt_phandle);
	fdt_end(fdt);
}
