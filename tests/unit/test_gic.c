// SPDX-License-Identifier: GPL-2.0-or-later
// The GIC as a whole: lines, level and edge, SGIs, several CPUs, reset, device tree.

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <libfdt.h>

#include "fdt.h"
#include "gic-fixture.h"

// -- level and edge --

static void test_level_follows_its_line(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	line(f, 40, true);
	assert_true(irq_high(f, 0));
	assert_true(is_pending(f, 40));
	line(f, 40, false); // before anybody has acknowledged it
	assert_false(irq_high(f, 0));
	assert_false(is_pending(f, 40));
	assert_int_equal(ack(f, 0), SPURIOUS);
}

static void test_level_pends_again_after_the_end(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	line(f, 40, true);
	assert_int_equal(ack(f, 0), 40);
	assert_true(is_pending(f, 40)); // active and pending
	assert_true(is_active(f, 40));
	assert_false(irq_high(f, 0));
	eoi(f, 0, 40);
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 40);
	line(f, 40, false);
	assert_false(is_pending(f, 40));
	eoi(f, 0, 40);
	assert_false(irq_high(f, 0));
}

// What software sets stays until it is cleared or acknowledged, line or no line (4.3.8).
static void test_level_set_pending_by_software(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	set_bit(f, 0, GICD_ISPENDR, 40);
	assert_true(irq_high(f, 0));
	line(f, 40, true);
	line(f, 40, false);
	assert_true(is_pending(f, 40));
	set_bit(f, 0, GICD_ICPENDR, 40);
	assert_false(is_pending(f, 40));
	line(f, 40, true);
	set_bit(f, 0, GICD_ICPENDR, 40);
	assert_true(is_pending(f, 40)); // the line is high
	set_bit(f, 0, GICD_ISPENDR, 40);
	assert_int_equal(ack(f, 0), 40);
	line(f, 40, false);
	assert_false(is_pending(f, 40)); // the acknowledge took the other one
	set_bit(f, 0, GICD_ISPENDR, 40);
	assert_true(is_pending(f, 40)); // active and pending
	eoi(f, 0, 40);
	assert_int_equal(ack(f, 0), 40);
}

static void test_edge_is_latched(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	set_edge(f, 0, 40, true);
	prepare(f, 40, 0x80);
	line(f, 40, true);
	line(f, 40, false);
	assert_true(is_pending(f, 40));
	assert_int_equal(ack(f, 0), 40);
	assert_false(is_pending(f, 40));
	for (unsigned i = 0; i < 3; i++) { // they merge into one
		line(f, 40, true);
		line(f, 40, false);
	}
	assert_true(is_pending(f, 40));
	assert_false(irq_high(f, 0));
	eoi(f, 0, 40);
	assert_int_equal(ack(f, 0), 40);
	line(f, 40, true);
	eoi(f, 0, 40);
	assert_int_equal(ack(f, 0), 40);
	eoi(f, 0, 40);
	assert_int_equal(ack(f, 0), SPURIOUS); // high, but no edge
	line(f, 40, false);
	line(f, 40, true);
	set_bit(f, 0, GICD_ICPENDR, 40);
	assert_int_equal(ack(f, 0), SPURIOUS);
}

static void test_an_edge_while_disabled_is_kept(void **state)
{
	struct gic_fixture *f = *state;

	set_edge(f, 0, 40, true);
	line(f, 40, true);
	line(f, 40, false);
	assert_true(is_pending(f, 40));
	open_all(f);
	prepare(f, 40, 0x80);
	assert_int_equal(ack(f, 0), 40);
}

static void test_the_configuration_decides_what_a_high_line_means(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	line(f, 40, true);
	set_edge(f, 0, 40, true);
	assert_false(irq_high(f, 0)); // no edge since
	set_edge(f, 0, 40, false);
	assert_true(irq_high(f, 0));
}

static void test_lines_that_do_not_exist(void **state)
{
	struct gic_fixture *f = *state;
	const unsigned numbers[] = { 0, 15, 16, 31, LINES, 127, 1019, 1023, 1024, ~0U };

	open_all(f);
	dist_put(f, 0, GICD_ISENABLER, ~0U);
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		line(f, numbers[i], true);
		if (numbers[i] < 16 || numbers[i] >= 32)
			gic_set_ppi(f->gic, 0, numbers[i], true);
	}
	gic_set_ppi(f->gic, CPUS, 27, true);
	gic_set_ppi(f->gic, ~0U, 27, true);
	for (unsigned word = 0; word < 32; word++)
		assert_int_equal(dist_get(f, 0, GICD_ISPENDR + 4 * word), 0);
	assert_int_equal(f->changes, 0);
}

// -- private lines --

static void test_ppis_are_of_one_cpu(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		set_bit(f, cpu, GICD_ISENABLER, 27);
	gic_set_ppi(f->gic, 2, 27, true);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		assert_int_equal(irq_high(f, cpu), cpu == 2);
		assert_int_equal(get_bit(f, cpu, GICD_ISPENDR, 27), cpu == 2);
	}
	assert_int_equal(ack(f, 0), SPURIOUS);
	assert_int_equal(ack(f, 2), 27);
	gic_set_ppi(f->gic, 3, 27, true);
	assert_int_equal(ack(f, 3), 27);
	gic_set_ppi(f->gic, 2, 27, false);
	eoi(f, 2, 27);
	assert_false(irq_high(f, 2));
	assert_false(get_bit(f, 2, GICD_ISACTIVER, 27));
	assert_true(get_bit(f, 3, GICD_ISACTIVER, 27));
	eoi(f, 3, 27); // as the timer's handler that did not turn it off
	assert_true(irq_high(f, 3));
}

// -- SGIs --

static uint8_t sgi_sources(struct gic_fixture *f, unsigned cpu, unsigned sgi)
{
	return gic_get_sized(f, cpu, DIST_BASE + GICD_SPENDSGIR + sgi, 1);
}

static void test_sgi_names_its_source(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	for (unsigned source = 0; source < CPUS; source++) {
		send_sgi(f, source, 1 << 1, 5);
		assert_true(irq_high(f, 1));
		assert_int_equal(cpu_get(f, 1, GICC_HPPIR), source << 10 | 5);
		assert_int_equal(ack(f, 1), source << 10 | 5);
		assert_false(irq_high(f, 1));
		eoi(f, 1, source << 10 | 5);
		assert_false(get_bit(f, 1, GICD_ISACTIVER, 5));
	}
	assert_int_equal(ack(f, 0), SPURIOUS);
}

static void test_sgi_is_pending_once_for_each_source(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	send_sgi(f, 3, 1, 5);
	send_sgi(f, 1, 1, 5);
	send_sgi(f, 1, 1, 5); // pending already
	assert_int_equal(sgi_sources(f, 0, 5), 0xa);
	assert_int_equal(ack(f, 0), 1 << 10 | 5);
	assert_int_equal(sgi_sources(f, 0, 5), 0x8);
	assert_true(is_pending(f, 5)); // and active
	assert_int_equal(ack(f, 0), SPURIOUS);
	send_sgi(f, 1, 1, 5);
	eoi(f, 0, 1 << 10 | 5);
	assert_int_equal(ack(f, 0), 1 << 10 | 5);
	eoi(f, 0, 1 << 10 | 5);
	assert_int_equal(ack(f, 0), 3 << 10 | 5);
	assert_false(is_pending(f, 5));
	eoi(f, 0, 3 << 10 | 5);
	assert_int_equal(ack(f, 0), SPURIOUS);
}

static void test_sgi_filters(void **state)
{
	struct gic_fixture *f = *state;
	const struct {
		uint32_t filter;
		uint8_t reached;
	} cases[] = {
		{ 0 << 24 | 0xf9 << 16, 0x9 }, // the list; CPUs that are not there
		{ 0 << 24, 0 },
		{ 1 << 24 | 0x04 << 16, 0xb }, // all but the sender, whatever the list
		{ 2 << 24 | 0xff << 16, 0x4 }, // the sender
		{ 3 << 24 | 0xff << 16, 0 },   // reserved
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		dist_put(f, 2, GICD_SGIR, cases[i].filter | 0xfff0 | 9);
		for (unsigned cpu = 0; cpu < CPUS; cpu++) {
			uint8_t expected = cases[i].reached >> cpu & 1 ? 1 << 2 : 0;

			assert_int_equal(sgi_sources(f, cpu, 9), expected);
			gic_put_sized(f, cpu, DIST_BASE + GICD_CPENDSGIR + 9, 1, 0xff);
		}
	}
}

static void test_sgi_pending_registers(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	// By word, for the accessing CPU; bits of CPUs that are not there stay clear.
	dist_put(f, 1, GICD_SPENDSGIR + 4, 0xf0030001);
	assert_int_equal(dist_get(f, 1, GICD_SPENDSGIR + 4), 0x00030001);
	assert_int_equal(dist_get(f, 1, GICD_CPENDSGIR + 4), 0x00030001);
	assert_int_equal(dist_get(f, 0, GICD_SPENDSGIR + 4), 0);
	assert_int_equal(dist_get(f, 1, GICD_ISPENDR), 1 << 4 | 1 << 6);
	assert_true(irq_high(f, 1));
	dist_put(f, 1, GICD_CPENDSGIR + 4, 0x00010001);
	assert_int_equal(dist_get(f, 1, GICD_SPENDSGIR + 4), 0x00020000);
	assert_int_equal(ack(f, 1), 1 << 10 | 6);
	assert_int_equal(dist_get(f, 1, GICD_SPENDSGIR + 4), 0);
	// By byte.
	gic_put_sized(f, 1, DIST_BASE + GICD_SPENDSGIR + 15, 1, 0x0c);
	assert_int_equal(dist_get(f, 1, GICD_CPENDSGIR + 12), 0x0c000000);
	gic_put_sized(f, 1, DIST_BASE + GICD_CPENDSGIR + 15, 1, 0x04);
	assert_int_equal(sgi_sources(f, 1, 15), 0x08);
}

static void test_sgis_have_priorities(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	set_priority(f, 0, 2, 0x80);
	set_priority(f, 0, 9, 0x40);
	send_sgi(f, 0, 1, 2);
	send_sgi(f, 1, 1, 9);
	assert_int_equal(ack(f, 0), 1 << 10 | 9);
	assert_int_equal(ack(f, 0), SPURIOUS);
	eoi(f, 0, 1 << 10 | 9);
	assert_int_equal(ack(f, 0), 2);
}

// -- several CPUs --

static void test_every_target_is_told_and_one_takes_it(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	set_targets(f, 40, 0xa);
	line(f, 40, true);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(irq_high(f, cpu), 0xa >> cpu & 1);
	assert_int_equal(ack(f, 0), SPURIOUS);
	assert_int_equal(ack(f, 3), 40);
	assert_false(irq_high(f, 1));
	assert_int_equal(ack(f, 1), SPURIOUS); // came too late
	line(f, 40, false);
	eoi(f, 3, 40);
	assert_false(irq_high(f, 1));
	assert_false(irq_high(f, 3));
}

static void test_targets_of_what_is_pending_can_change(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	set_edge(f, 0, 40, true);
	prepare(f, 40, 0x80);
	line(f, 40, true);
	set_targets(f, 40, 1 << 2);
	assert_false(irq_high(f, 0));
	assert_true(irq_high(f, 2));
	set_targets(f, 40, 0);
	assert_false(irq_high(f, 2));
	assert_true(is_pending(f, 40));
}

// Each CPU interface compares with its own mask and running priority.
static void test_cpus_do_not_mask_for_each_other(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	prepare(f, 41, 0x90);
	set_targets(f, 41, 3);
	cpu_put(f, 1, GICC_PMR, 0x90);
	line(f, 40, true);
	assert_int_equal(ack(f, 0), 40);
	line(f, 41, true);
	assert_false(irq_high(f, 0)); // 40 runs
	assert_false(irq_high(f, 1)); // masked
	cpu_put(f, 1, GICC_PMR, 0x91);
	assert_true(irq_high(f, 1));
	assert_int_equal(ack(f, 1), 41);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x80);
	assert_int_equal(cpu_get(f, 1, GICC_RPR), 0x90);
}

static void test_no_message_without_a_change(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	prepare(f, 41, 0x70);
	for (unsigned i = 0; i < 10; i++) {
		line(f, 40, true);
		line(f, 41, true);
		cpu_put(f, 0, GICC_PMR, 0xf0);
	}
	assert_int_equal(f->changes, 1);
}

// -- reset --

static void test_reset(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	prepare(f, 40, 0x80);
	prepare(f, 41, 0x70);
	set_edge(f, 0, 41, true);
	set_group1(f, 0, 42);
	line(f, 40, true);
	line(f, 41, true);
	gic_set_ppi(f->gic, 1, 27, true);
	set_bit(f, 1, GICD_ISENABLER, 27);
	send_sgi(f, 0, 0xf, 3);
	assert_int_equal(ack(f, 0), 3);
	cpu_put(f, 0, GICC_BPR, 3);
	cpu_put(f, 0, GICC_ABPR, 3);
	gic_reset(f->gic);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		assert_false(irq_high(f, cpu));
		assert_int_equal(cpu_get(f, cpu, GICC_CTLR), 0);
		assert_int_equal(cpu_get(f, cpu, GICC_PMR), 0);
		assert_int_equal(cpu_get(f, cpu, GICC_RPR), 0xff);
		assert_int_equal(cpu_get(f, cpu, GICC_BPR), 0);
		assert_int_equal(cpu_get(f, cpu, GICC_ABPR), 1);
		assert_int_equal(dist_get(f, cpu, GICD_ISENABLER), 0xffff);
		assert_int_equal(dist_get(f, cpu, GICD_ISACTIVER), 0);
		assert_int_equal(dist_get(f, cpu, GICD_SPENDSGIR), 0);
		// The line is still high.
		assert_int_equal(dist_get(f, cpu, GICD_ISPENDR), cpu == 1 ? 1U << 27 : 0);
	}
	assert_int_equal(dist_get(f, 0, GICD_CTLR), 0);
	assert_int_equal(dist_get(f, 0, GICD_ISENABLER + 4), 0);
	assert_int_equal(dist_get(f, 0, GICD_IGROUPR + 4), 0);
	assert_int_equal(dist_get(f, 0, GICD_ITARGETSR + 40), 0);
	assert_int_equal(dist_get(f, 0, GICD_IPRIORITYR + 40), 0);
	assert_int_equal(dist_get(f, 0, GICD_ICFGR + 8), 0);
	assert_int_equal(dist_get(f, 0, GICD_ISPENDR + 4), 3 << 8); // level, both
	open_all(f);
	prepare(f, 40, 0x80);
	assert_int_equal(ack(f, 0), 40);
}

// -- life --

static int create(struct gic_fixture *f, unsigned cpus, unsigned lines, uint64_t cpu_base)
{
	struct gic_config config = {
		.dist_base = 0x1000000,
		.cpu_base = cpu_base,
		.cpus = cpus,
		.lines = lines,
		.vcpus = &f->set,
	};
	struct gic *gic = NULL;
	int rc = gic_create(&gic, &f->bus, &config);

	assert_null(gic);
	return rc;
}

static void test_what_cannot_be_made(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(create(f, 0, 64, 0x2000000), -EINVAL);
	assert_int_equal(create(f, GIC_MAX_CPUS + 1, 64, 0x2000000), -EINVAL);
	assert_int_equal(create(f, 1, 31, 0x2000000), -EINVAL);
	assert_int_equal(create(f, 1, GIC_MAX_LINES + 1, 0x2000000), -EINVAL);
	assert_int_equal(create(f, 1, 64, CPU_BASE), -EEXIST);
	gic_free(NULL);
}

static void test_device_tree(void **state)
{
	struct gic_fixture *f = *state;
	const struct irq_line serial = { gic_irqchip(f->gic), 33 };
	const uint32_t reg[] = {
		0, htobe32(DIST_BASE), 0, htobe32(GIC_DIST_SIZE),
		0, htobe32(CPU_BASE),  0, htobe32(GIC_CPU_SIZE),
	};
	const uint32_t interrupts[] = { 0, htobe32(1), htobe32(4) };
	static uint8_t blob[4096];
	struct fdt_writer fdt;
	const void *value;
	int node, length;

	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_u32(&fdt, "#address-cells", 2);
	fdt_u32(&fdt, "#size-cells", 2);
	gic_describe(f->gic, &fdt);
	fdt_node(&fdt, "serial");
	fdt_interrupt(&fdt, &serial);
	fdt_end(&fdt);
	assert_int_equal(fdt_writer_finish(&fdt), 0);
	node = fdt_path_offset(blob, "/interrupt-controller@8000000");
	assert_true(node > 0);
	assert_int_equal(fdt_node_check_compatible(blob, node, "arm,cortex-a15-gic"), 0);
	assert_int_equal(fdt_get_phandle(blob, node), GIC_TEST_PHANDLE);
	assert_non_null(fdt_getprop(blob, node, "interrupt-controller", NULL));
	value = fdt_getprop(blob, node, "#interrupt-cells", &length);
	assert_memory_equal(value, "\0\0\0\3", 4);
	value = fdt_getprop(blob, node, "reg", &length);
	assert_int_equal(length, sizeof(reg));
	assert_memory_equal(value, reg, sizeof(reg));
	node = fdt_path_offset(blob, "/serial");
	value = fdt_getprop(blob, node, "interrupts", &length);
	assert_int_equal(length, sizeof(interrupts));
	assert_memory_equal(value, interrupts, sizeof(interrupts));
}

// -- hostile --

// Any register, any size, any value, lines in between: the invariants hold. What runs
// at a higher level than all that is masked is found by the sanitizers.
static void test_random_accesses(void **state)
{
	struct gic_fixture *f = *state;
	uint64_t random = 0x9e3779b97f4a7c15;

	for (unsigned i = 0; i < 100000; i++) {
		unsigned cpu, size;
		uint64_t addr;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		cpu = random % CPUS;
		size = 1U << (random >> 8 & 3);
		addr = random >> 10 & 1 ? DIST_BASE + (random >> 12 & 0xfff) :
					  CPU_BASE + (random >> 12 & 0xfff) % 0x104;
		addr &= ~(uint64_t)(size - 1);
		if (random >> 11 & 1)
			gic_put_sized(f, cpu, addr, size, random >> 24);
		else
			assert_true(size == 8 ||
				    gic_get_sized(f, cpu, addr, size) >> 8 * size == 0);
		if (random >> 60 == 0)
			line(f, random >> 24 & 127, random >> 32 & 1);
		if (random >> 60 == 1)
			gic_set_ppi(f->gic, cpu, random >> 24 & 31, random >> 32 & 1);
	}
	gic_reset(f->gic);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		assert_false(irq_high(f, cpu) || fiq_high(f, cpu));
		assert_int_equal(ack(f, cpu), SPURIOUS);
	}
}

// -- threads --

#define PULSES 20000

struct storm {
	struct gic_fixture *f;
	unsigned intid;
	atomic_bool over;
};

static void *pulse(void *opaque)
{
	struct storm *storm = opaque;

	for (unsigned i = 0; i < PULSES; i++) {
		line(storm->f, storm->intid, true);
		line(storm->f, storm->intid, false);
	}
	storm->over = true;
	return NULL;
}

// Takes what is there, on behalf of one CPU.
static bool serve(struct gic_fixture *f, unsigned cpu)
{
	uint32_t value = ack(f, cpu);

	if (value == SPURIOUS)
		return false;
	eoi(f, cpu, value);
	return true;
}

static void test_storm_ends_at_rest(void **state)
{
	struct gic_fixture *f = *state;
	struct storm storms[] = { { .f = f, .intid = 40 }, { .f = f, .intid = 65 } };
	pthread_t threads[ARRAY_SIZE(storms)];
	unsigned served = 0;

	open_all(f);
	set_edge(f, 0, 65, true);
	for (unsigned i = 0; i < ARRAY_SIZE(storms); i++) {
		prepare(f, storms[i].intid, 0x10 * (1 + i));
		set_targets(f, storms[i].intid, 3);
		assert_int_equal(pthread_create(&threads[i], NULL, pulse, &storms[i]), 0);
	}
	while (!storms[0].over || !storms[1].over)
		served += serve(f, served % 2);
	for (unsigned i = 0; i < ARRAY_SIZE(storms); i++)
		pthread_join(threads[i], NULL);
	while (serve(f, 0))
		served++;
	assert_true(served >= 1); // the last edge is never lost
	assert_false(irq_high(f, 0));
	assert_false(irq_high(f, 1));
	line(f, 40, true);
	assert_int_equal(ack(f, 1), 40);
}

// Every CPU sends to the next one and takes what has come: each SGI that was pending is
// taken once, by the CPU that it was for.
#define ROUNDS 3000

struct sender {
	struct gic_fixture *f;
	unsigned cpu;
	unsigned taken;
	bool wrong_source;
};

static bool take_sgi(struct sender *self)
{
	uint32_t value = ack(self->f, self->cpu);

	if (value == SPURIOUS)
		return false;
	self->wrong_source |= value != ((self->cpu + CPUS - 1) % CPUS << 10 | 5);
	self->taken++;
	eoi(self->f, self->cpu, value);
	return true;
}

static void *send_and_take(void *opaque)
{
	struct sender *self = opaque;

	for (unsigned i = 0; i < ROUNDS; i++) {
		send_sgi(self->f, self->cpu, 1U << (self->cpu + 1) % CPUS, 5);
		take_sgi(self);
	}
	return NULL;
}

static void test_cpus_at_once(void **state)
{
	struct gic_fixture *f = *state;
	struct sender senders[CPUS] = { 0 };
	pthread_t threads[CPUS];

	open_all(f);
	for (unsigned i = 0; i < CPUS; i++) {
		senders[i].f = f;
		senders[i].cpu = i;
		assert_int_equal(pthread_create(&threads[i], NULL, send_and_take, &senders[i]), 0);
	}
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < CPUS; i++) {
		take_sgi(&senders[i]);
		assert_false(take_sgi(&senders[i]));
		assert_false(senders[i].wrong_source);
		assert_in_range(senders[i].taken, 1, ROUNDS);
		assert_false(irq_high(f, i));
		assert_int_equal(cpu_get(f, i, GICC_RPR), 0xff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIC_TEST(test_level_follows_its_line),
		GIC_TEST(test_level_pends_again_after_the_end),
		GIC_TEST(test_level_set_pending_by_software),
		GIC_TEST(test_edge_is_latched),
		GIC_TEST(test_an_edge_while_disabled_is_kept),
		GIC_TEST(test_the_configuration_decides_what_a_high_line_means),
		GIC_TEST(test_lines_that_do_not_exist),
		GIC_TEST(test_ppis_are_of_one_cpu),
		GIC_TEST(test_sgi_names_its_source),
		GIC_TEST(test_sgi_is_pending_once_for_each_source),
		GIC_TEST(test_sgi_filters),
		GIC_TEST(test_sgi_pending_registers),
		GIC_TEST(test_sgis_have_priorities),
		GIC_TEST(test_every_target_is_told_and_one_takes_it),
		GIC_TEST(test_targets_of_what_is_pending_can_change),
		GIC_TEST(test_cpus_do_not_mask_for_each_other),
		GIC_TEST(test_no_message_without_a_change),
		GIC_TEST(test_reset),
		GIC_TEST(test_what_cannot_be_made),
		GIC_TEST(test_device_tree),
		GIC_TEST(test_random_accesses),
		GIC_TEST(test_storm_ends_at_rest),
		GIC_TEST(test_cpus_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
