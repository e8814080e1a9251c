// SPDX-License-Identifier: GPL-2.0-or-later
// The GIC's distributor: each register, what is banked, what does not exist.

#include "gic-fixture.h"

// The bits of INTIDs 96 to 99 in the last word.
#define LAST_WORD_MASK 0xfU

static int setup_one_cpu(void **state)
{
	return gic_setup_as(state, 1, 64);
}

static int setup_largest(void **state)
{
	return gic_setup_as(state, GIC_MAX_CPUS, GIC_MAX_LINES);
}

static int setup_smallest(void **state)
{
	return gic_setup_as(state, 2, 32);
}

static void test_identification(void **state)
{
	struct gic_fixture *f = *state;

	// 4 * 32 lines, 4 CPUs, no security extensions.
	assert_int_equal(dist_get(f, 0, GICD_TYPER), 3 | 3 << 5);
	assert_int_equal(dist_get(f, 0, GICD_IIDR), 0x43b);
	assert_int_equal(dist_get(f, 0, GICD_ICPIDR2) >> 4, 2); // ArchRev
	assert_int_equal(dist_get(f, 0, 0xff0), 0x0d);
	assert_int_equal(dist_get(f, 0, 0xffc), 0xb1);
	dist_put(f, 0, GICD_TYPER, ~0U);
	dist_put(f, 0, GICD_IIDR, ~0U);
	dist_put(f, 0, GICD_ICPIDR2, ~0U);
	assert_int_equal(dist_get(f, 3, GICD_TYPER), 3 | 3 << 5);
	assert_int_equal(dist_get(f, 3, GICD_IIDR), 0x43b);
	assert_int_equal(dist_get(f, 3, GICD_ICPIDR2) >> 4, 2);
}

static void test_type_of_the_largest(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(dist_get(f, 7, GICD_TYPER), 31 | 7 << 5);
	// 1020 to 1023 are no interrupts.
	dist_put(f, 0, GICD_ISENABLER + 31 * 4, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ISENABLER + 31 * 4), 0x0fffffff);
}

static void test_type_of_the_smallest(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(dist_get(f, 0, GICD_TYPER), 0 | 1 << 5);
	dist_put(f, 0, GICD_ISENABLER + 4, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ISENABLER + 4), 0);
}

static void test_control_keeps_the_two_enables(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(dist_get(f, 0, GICD_CTLR), 0);
	dist_put(f, 0, GICD_CTLR, ~0U);
	assert_int_equal(dist_get(f, 2, GICD_CTLR), 3); // not banked
}

static void test_bitmaps_have_the_bits_of_what_exists(void **state)
{
	static const unsigned bitmaps[] = { GICD_IGROUPR, GICD_ISENABLER, GICD_ISPENDR,
					    GICD_ISACTIVER };
	struct gic_fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(bitmaps); i++) {
		for (unsigned word = 1; word < 32; word++) {
			uint32_t mask = word < 3 ? ~0U : word == 3 ? LAST_WORD_MASK : 0;

			dist_put(f, 0, bitmaps[i] + 4 * word, ~0U);
			assert_int_equal(dist_get(f, 0, bitmaps[i] + 4 * word), mask);
		}
	}
}

static void test_set_and_clear_registers(void **state)
{
	static const unsigned pairs[][2] = {
		{ GICD_ISENABLER, GICD_ICENABLER },
		{ GICD_ISPENDR, GICD_ICPENDR },
		{ GICD_ISACTIVER, GICD_ICACTIVER },
	};
	struct gic_fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
		unsigned set = pairs[i][0] + 8, clear = pairs[i][1] + 8;

		assert_int_equal(dist_get(f, 0, set), 0);
		dist_put(f, 0, set, 0xf0f0);
		dist_put(f, 1, set, 0x0f00); // SPIs are everyone's
		assert_int_equal(dist_get(f, 2, set), 0xfff0);
		assert_int_equal(dist_get(f, 2, clear), 0xfff0);
		dist_put(f, 3, clear, 0x80f0);
		assert_int_equal(dist_get(f, 0, set), 0x7f00);
		dist_put(f, 0, set, 0);
		dist_put(f, 0, clear, 0);
		assert_int_equal(dist_get(f, 0, clear), 0x7f00);
		dist_put(f, 0, clear, ~0U);
		assert_int_equal(dist_get(f, 0, set), 0);
	}
}

static void test_private_bitmaps_are_banked(void **state)
{
	static const unsigned bitmaps[] = { GICD_ISENABLER, GICD_ISPENDR, GICD_ISACTIVER };
	struct gic_fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(bitmaps); i++) {
		for (unsigned cpu = 0; cpu < CPUS; cpu++)
			dist_put(f, cpu, bitmaps[i], 1U << (16 + cpu));
		for (unsigned cpu = 0; cpu < CPUS; cpu++)
			assert_int_equal(dist_get(f, cpu, bitmaps[i]) >> 16, 1 << cpu);
		// Clearing is, too.
		dist_put(f, 1, bitmaps[i] + 0x80, ~0U);
		assert_int_equal(dist_get(f, 0, bitmaps[i]) >> 16, 1);
		assert_int_equal(dist_get(f, 1, bitmaps[i]) >> 16, 0);
		assert_int_equal(dist_get(f, 2, bitmaps[i]) >> 16, 4);
	}
	dist_put(f, 1, GICD_IGROUPR, 0x10001);
	assert_int_equal(dist_get(f, 0, GICD_IGROUPR), 0);
	assert_int_equal(dist_get(f, 1, GICD_IGROUPR), 0x10001);
}

static void test_group_can_be_written_both_ways(void **state)
{
	struct gic_fixture *f = *state;

	dist_put(f, 0, GICD_IGROUPR + 4, 0xff00ff00);
	assert_int_equal(dist_get(f, 1, GICD_IGROUPR + 4), 0xff00ff00);
	dist_put(f, 0, GICD_IGROUPR + 4, 0x0000ffff);
	assert_int_equal(dist_get(f, 1, GICD_IGROUPR + 4), 0x0000ffff);
}

static void test_sgis_are_always_enabled(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(dist_get(f, 0, GICD_ISENABLER), 0xffff);
	dist_put(f, 0, GICD_ICENABLER, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ISENABLER), 0xffff);
	dist_put(f, 0, GICD_ISENABLER, 1U << 31);
	assert_int_equal(dist_get(f, 0, GICD_ICENABLER), 0x8000ffff);
}

// Only GICD_SGIR and GICD_SPENDSGIR do that (4.3.7, 4.3.8).
static void test_sgis_are_not_made_pending_by_bitmap(void **state)
{
	struct gic_fixture *f = *state;

	dist_put(f, 0, GICD_ISPENDR, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ISPENDR), 0xffff0000);
	dist_put(f, 0, GICD_ICPENDR, ~0U);
	send_sgi(f, 1, 1, 5);
	dist_put(f, 0, GICD_ICPENDR, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ISPENDR), 1 << 5);
}

static void test_priorities_have_eight_bits(void **state)
{
	struct gic_fixture *f = *state;

	dist_put(f, 0, GICD_IPRIORITYR + 40, 0xfe01a5ff);
	assert_int_equal(dist_get(f, 1, GICD_IPRIORITYR + 40), 0xfe01a5ff);
	for (unsigned i = 0; i < 4; i++)
		set_priority(f, 0, 60 + i, 0x11 * i);
	assert_int_equal(dist_get(f, 0, GICD_IPRIORITYR + 60), 0x33221100);
	assert_int_equal(gic_get_sized(f, 0, DIST_BASE + GICD_IPRIORITYR + 62, 1), 0x22);
	// The last four lines, then none.
	dist_put(f, 0, GICD_IPRIORITYR + 96, ~0U);
	dist_put(f, 0, GICD_IPRIORITYR + 100, ~0U);
	dist_put(f, 0, GICD_IPRIORITYR + 1020, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_IPRIORITYR + 96), ~0U);
	assert_int_equal(dist_get(f, 0, GICD_IPRIORITYR + 100), 0);
	assert_int_equal(dist_get(f, 0, GICD_IPRIORITYR + 1020), 0);
}

static void test_private_priorities_are_banked(void **state)
{
	struct gic_fixture *f = *state;

	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		set_priority(f, cpu, 3, 0x10 * cpu + 3);
		set_priority(f, cpu, 27, 0x10 * cpu + 7);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		assert_int_equal(dist_get(f, cpu, GICD_IPRIORITYR), (0x10U * cpu + 3) << 24);
		assert_int_equal(dist_get(f, cpu, GICD_IPRIORITYR + 24), (0x10U * cpu + 7) << 24);
	}
}

static void test_targets(void **state)
{
	struct gic_fixture *f = *state;

	// Private interrupts name the reader, and cannot be changed.
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		for (unsigned intid = 0; intid < 32; intid += 4) {
			dist_put(f, cpu, GICD_ITARGETSR + intid, 0);
			assert_int_equal(dist_get(f, cpu, GICD_ITARGETSR + intid),
					 0x01010101U << cpu);
		}
	}
	// Bits of CPUs that are not there read as zero.
	assert_int_equal(dist_get(f, 0, GICD_ITARGETSR + 32), 0);
	dist_put(f, 0, GICD_ITARGETSR + 32, 0xfff08421);
	assert_int_equal(dist_get(f, 3, GICD_ITARGETSR + 32), 0x0f000401);
	set_targets(f, 33, 0x0a);
	assert_int_equal(dist_get(f, 0, GICD_ITARGETSR + 32), 0x0f000a01);
	dist_put(f, 0, GICD_ITARGETSR + 100, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ITARGETSR + 100), 0);
}

static void test_one_cpu_has_no_targets(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(dist_get(f, 0, GICD_ITARGETSR), 0);
	dist_put(f, 0, GICD_ITARGETSR + 40, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ITARGETSR + 40), 0);
	open_all(f);
	set_bit(f, 0, GICD_ISENABLER, 40);
	line(f, 40, true);
	assert_int_equal(ack(f, 0), 40);
}

static void test_configuration(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(dist_get(f, 0, GICD_ICFGR), 0xaaaaaaaa); // SGIs: edge
	dist_put(f, 0, GICD_ICFGR, 0);
	assert_int_equal(dist_get(f, 0, GICD_ICFGR), 0xaaaaaaaa);
	assert_int_equal(dist_get(f, 0, GICD_ICFGR + 4), 0);
	assert_int_equal(dist_get(f, 0, GICD_ICFGR + 8), 0);
	// The lower bit of each pair is reserved.
	dist_put(f, 0, GICD_ICFGR + 8, 0xffff0000);
	dist_put(f, 0, GICD_ICFGR + 12, 0x5555aaa9);
	assert_int_equal(dist_get(f, 1, GICD_ICFGR + 8), 0xaaaa0000);
	assert_int_equal(dist_get(f, 1, GICD_ICFGR + 12), 0x0000aaa8);
	// PPIs have their own for each CPU.
	dist_put(f, 2, GICD_ICFGR + 4, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ICFGR + 4), 0);
	assert_int_equal(dist_get(f, 2, GICD_ICFGR + 4), 0xaaaaaaaa);
	// INTIDs 96 to 99, then none.
	dist_put(f, 0, GICD_ICFGR + 24, ~0U);
	dist_put(f, 0, GICD_ICFGR + 28, ~0U);
	assert_int_equal(dist_get(f, 0, GICD_ICFGR + 24), 0xaa);
	assert_int_equal(dist_get(f, 0, GICD_ICFGR + 28), 0);
}

static void test_what_is_reserved_reads_zero(void **state)
{
	static const unsigned offsets[] = { 0x00c, 0x020, 0x07c, 0x7fc, 0xbfc, 0xd00,
					    0xe00, 0xefc, 0xf00, 0xf04, 0xf30, 0xfcc };
	struct gic_fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		dist_put(f, 0, offsets[i], ~0U);
		assert_int_equal(dist_get(f, 0, offsets[i]), 0);
	}
}

// Bytes: priorities, targets, pending SGIs (4.1.4). Nothing takes two or eight.
static void test_sizes(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	for (unsigned offset = 0; offset < GIC_DIST_SIZE; offset += 4) {
		bool bytes = (offset >= GICD_IPRIORITYR && offset < GICD_ICFGR) ||
			     (offset >= GICD_CPENDSGIR && offset < GICD_SPENDSGIR + 16);
		uint32_t before = dist_get(f, 1, offset);

		gic_put_sized(f, 1, DIST_BASE + offset, 2, 0xffff);
		gic_put_sized(f, 1, DIST_BASE + offset + 2, 2, 0xffff);
		gic_put_sized(f, 1, DIST_BASE + (offset & ~7U), 8, ~0ULL);
		gic_put_sized(f, 1, DIST_BASE + offset + 1, 4, ~0U);
		assert_int_equal(gic_get_sized(f, 1, DIST_BASE + offset, 2), 0);
		assert_int_equal(gic_get_sized(f, 1, DIST_BASE + (offset & ~7U), 8), 0);
		assert_int_equal(gic_get_sized(f, 1, DIST_BASE + offset + 2, 4), 0);
		for (unsigned i = 0; i < 4 && !bytes; i++) {
			gic_put_sized(f, 1, DIST_BASE + offset + i, 1, 0xff);
			assert_int_equal(gic_get_sized(f, 1, DIST_BASE + offset + i, 1), 0);
		}
		assert_int_equal(dist_get(f, 1, offset), before);
	}
}

static void test_an_access_by_nobody_does_nothing(void **state)
{
	struct gic_fixture *f = *state;
	uint32_t value = ~0U;

	assert_int_equal(bus_write(&f->bus, DIST_BASE + GICD_CTLR, &value, 4), 0);
	assert_int_equal(bus_write(&f->bus, CPU_BASE + GICC_PMR, &value, 4), 0);
	assert_int_equal(bus_read(&f->bus, DIST_BASE + GICD_TYPER, &value, 4), 0);
	assert_int_equal(value, 0);
	assert_int_equal(bus_read(&f->bus, CPU_BASE + GICC_IAR, &value, 4), 0);
	assert_int_equal(value, 0);
	// Nor by a CPU that has no interface.
	dist_put(f, CPUS, GICD_CTLR, 1);
	cpu_put(f, CPUS, GICC_PMR, 0xff);
	assert_int_equal(dist_get(f, CPUS, GICD_TYPER), 0);
	assert_int_equal(cpu_get(f, CPUS, GICC_IIDR), 0);
	assert_int_equal(dist_get(f, 0, GICD_CTLR), 0);
	assert_int_equal(cpu_get(f, 0, GICC_PMR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIC_TEST(test_identification),
		cmocka_unit_test_setup_teardown(test_type_of_the_largest, setup_largest,
						gic_teardown),
		cmocka_unit_test_setup_teardown(test_type_of_the_smallest, setup_smallest,
						gic_teardown),
		GIC_TEST(test_control_keeps_the_two_enables),
		GIC_TEST(test_bitmaps_have_the_bits_of_what_exists),
		GIC_TEST(test_set_and_clear_registers),
		GIC_TEST(test_private_bitmaps_are_banked),
		GIC_TEST(test_group_can_be_written_both_ways),
		GIC_TEST(test_sgis_are_always_enabled),
		GIC_TEST(test_sgis_are_not_made_pending_by_bitmap),
		GIC_TEST(test_priorities_have_eight_bits),
		GIC_TEST(test_private_priorities_are_banked),
		GIC_TEST(test_targets),
		cmocka_unit_test_setup_teardown(test_one_cpu_has_no_targets, setup_one_cpu,
						gic_teardown),
		GIC_TEST(test_configuration),
		GIC_TEST(test_what_is_reserved_reads_zero),
		GIC_TEST(test_sizes),
		GIC_TEST(test_an_access_by_nobody_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
