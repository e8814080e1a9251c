// SPDX-License-Identifier: GPL-2.0-or-later
// The PLIC: registers, gateways, priorities, contexts.

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../riscv/plic.h"
#include "bus-access.h"
#include "device.h"
#include "vcpu.h"

#include <cmocka.h>

#define BASE 0x0c000000ULL
#define SOURCES 100
#define CONTEXTS 4
#define MANY_CONTEXTS 300

// What the PLIC tells the harts.
struct harts {
	struct vcpu vcpus[MANY_CONTEXTS];
	struct vcpu_set set;
	struct accel accel;
	atomic_bool level[MANY_CONTEXTS];
	atomic_uint changes[MANY_CONTEXTS];
};

struct fixture {
	struct bus bus;
	struct harts harts;
	struct plic *plic;
	struct irqchip *chip;
};

static void record_irq(struct vcpu *vcpu, unsigned line, bool high)
{
	struct harts *harts = vcpu->priv;

	assert_int_equal(line, 9);
	// Only changes are worth a message to another thread.
	assert_int_not_equal(high, harts->level[vcpu->index]);
	harts->level[vcpu->index] = high;
	harts->changes[vcpu->index]++;
}

static const struct accel_ops recorder = { .name = "recorder", .irq = record_irq };

static int setup_contexts(void **state, unsigned contexts)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct plic_config config = {
		.base = BASE,
		.sources = SOURCES,
		.contexts = contexts,
		.vcpus = &f->harts.set,
	};

	f->harts.accel.ops = &recorder;
	f->harts.set = (struct vcpu_set){
		.vcpus = f->harts.vcpus,
		.count = contexts,
		.accel = &f->harts.accel,
	};
	for (unsigned i = 0; i < contexts; i++)
		f->harts.vcpus[i] = (struct vcpu){ .index = i, .priv = &f->harts };
	bus_init(&f->bus);
	if (plic_create(&f->plic, &f->bus, &config))
		return -1;
	f->chip = plic_irqchip(f->plic);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_contexts(state, CONTEXTS);
}

static int setup_many(void **state)
{
	return setup_contexts(state, MANY_CONTEXTS);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	plic_free(f->plic);
	bus_exit(&f->bus);
	free(f);
	return 0;
}

static uint32_t get(struct fixture *f, uint64_t offset)
{
	return bus_get(&f->bus, BASE + offset, 4);
}

static void put(struct fixture *f, uint64_t offset, uint32_t value)
{
	bus_put(&f->bus, BASE + offset, 4, value);
}

static void set_priority(struct fixture *f, unsigned source, unsigned priority)
{
	put(f, 4 * source, priority);
}

static void enable(struct fixture *f, unsigned context, unsigned source)
{
	uint64_t offset = 0x2000 + 0x80 * context + source / 32 * 4;

	put(f, offset, get(f, offset) | 1U << (source % 32));
}

static void disable(struct fixture *f, unsigned context, unsigned source)
{
	uint64_t offset = 0x2000 + 0x80 * context + source / 32 * 4;

	put(f, offset, get(f, offset) & ~(1U << (source % 32)));
}

static void set_threshold(struct fixture *f, unsigned context, unsigned threshold)
{
	put(f, 0x200000 + 0x1000 * context, threshold);
}

static uint32_t claim(struct fixture *f, unsigned context)
{
	return get(f, 0x200004 + 0x1000 * context);
}

static void complete(struct fixture *f, unsigned context, uint32_t source)
{
	put(f, 0x200004 + 0x1000 * context, source);
}

static bool pending(struct fixture *f, unsigned source)
{
	return get(f, 0x1000 + source / 32 * 4) >> (source % 32) & 1;
}

static void line(struct fixture *f, unsigned source, bool high)
{
	struct irq_line irq = { f->chip, source };

	irq_set(&irq, high);
}

static bool raised(struct fixture *f, unsigned context)
{
	return f->harts.level[context];
}

static void prepare(struct fixture *f, unsigned context, unsigned source, unsigned priority)
{
	set_priority(f, source, priority);
	enable(f, context, source);
}

static void test_registers_keep_what_exists(void **state)
{
	struct fixture *f = *state;

	set_priority(f, 1, 7);
	assert_int_equal(get(f, 4), 7);
	set_priority(f, 1, 0xfffffff9); // WARL: low bits only
	assert_int_equal(get(f, 4), 1);
	set_priority(f, 0, 5); // source 0 does not exist
	assert_int_equal(get(f, 0), 0);
	set_priority(f, SOURCES, 5); // nor does the one after the last
	assert_int_equal(get(f, 4 * SOURCES), 0);
	set_priority(f, SOURCES - 1, 5);
	assert_int_equal(get(f, 4 * (SOURCES - 1)), 5);

	put(f, 0x2000, ~0U);
	assert_int_equal(get(f, 0x2000), 0xfffffffe);
	put(f, 0x2000 + 4 * (SOURCES / 32), ~0U);
	assert_int_equal(get(f, 0x2000 + 4 * (SOURCES / 32)), (1U << SOURCES % 32) - 1);
	put(f, 0x2000 + 4 * (SOURCES / 32 + 1), ~0U);
	assert_int_equal(get(f, 0x2000 + 4 * (SOURCES / 32 + 1)), 0);

	set_threshold(f, 3, 6);
	assert_int_equal(get(f, 0x203000), 6);
	set_threshold(f, 3, 0xfffffff8);
	assert_int_equal(get(f, 0x203000), 0);
	assert_int_equal(get(f, 0x203008), 0); // reserved
}

static void test_what_does_not_exist_reads_zero(void **state)
{
	struct fixture *f = *state;
	const uint64_t holes[] = { 0x1080,   0x1ffc,   0x2000 + 0x80 * CONTEXTS,
				   0x1f1ffc, 0x1f2000, 0x1ffffc };

	for (unsigned i = 0; i < ARRAY_SIZE(holes); i++) {
		put(f, holes[i], ~0U);
		assert_int_equal(get(f, holes[i]), 0);
	}
	// The window ends with the last context.
	assert_int_equal(get(f, 0x200000 + 0x1000 * CONTEXTS), 0);
}

static void test_other_sizes_than_32_bits_do_nothing(void **state)
{
	struct fixture *f = *state;
	const unsigned sizes[] = { 1, 2, 8 };

	prepare(f, 0, 2, 3);
	line(f, 2, true);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		bus_put(&f->bus, BASE + 8, sizes[i], 7);
		assert_int_equal(get(f, 8), 3);
		assert_int_equal(bus_get(&f->bus, BASE + 8, sizes[i]), 0);
		// Not even a claim.
		assert_int_equal(
			bus_get(&f->bus, BASE + 0x200004 - (sizes[i] == 8 ? 4 : 0), sizes[i]), 0);
		assert_true(pending(f, 2));
	}
	bus_put(&f->bus, BASE + 0x2001, 4, ~0U); // misaligned
	assert_int_equal(get(f, 0x2000), 1 << 2);
}

static void test_pending_bits_are_read_only(void **state)
{
	struct fixture *f = *state;

	line(f, 40, true);
	assert_int_equal(get(f, 0x1004), 1 << 8);
	put(f, 0x1004, 0);
	assert_true(pending(f, 40));
	put(f, 0x1004, ~0U);
	assert_int_equal(get(f, 0x1004), 1 << 8);
}

static void test_priority_0_never_interrupts(void **state)
{
	struct fixture *f = *state;

	enable(f, 0, 5);
	line(f, 5, true);
	assert_true(pending(f, 5));
	assert_false(raised(f, 0));
	assert_int_equal(claim(f, 0), 0);
	set_priority(f, 5, 1);
	assert_true(raised(f, 0));
	set_priority(f, 5, 0);
	assert_false(raised(f, 0));
}

static void test_threshold_masks_up_to_its_value(void **state)
{
	struct fixture *f = *state;

	prepare(f, 0, 5, 3);
	set_threshold(f, 0, 3);
	line(f, 5, true);
	assert_false(raised(f, 0));
	set_threshold(f, 0, 2);
	assert_true(raised(f, 0));
	set_threshold(f, 0, 7);
	assert_false(raised(f, 0));
	// A claim does not look at the threshold (ch. 9).
	assert_int_equal(claim(f, 0), 5);
}

static void test_highest_priority_then_lowest_id(void **state)
{
	struct fixture *f = *state;
	const unsigned sources[] = { 70, 33, 9, 34 };
	const unsigned priorities[] = { 2, 5, 2, 5 };

	for (unsigned i = 0; i < ARRAY_SIZE(sources); i++) {
		prepare(f, 0, sources[i], priorities[i]);
		line(f, sources[i], true);
	}
	assert_int_equal(claim(f, 0), 33);
	assert_int_equal(claim(f, 0), 34);
	assert_int_equal(claim(f, 0), 9);
	assert_true(raised(f, 0));
	assert_int_equal(claim(f, 0), 70);
	assert_false(raised(f, 0));
	assert_int_equal(claim(f, 0), 0);
}

static void test_level_pends_again_after_completion(void **state)
{
	struct fixture *f = *state;

	prepare(f, 0, 5, 1);
	line(f, 5, true);
	assert_true(raised(f, 0));
	assert_int_equal(claim(f, 0), 5);
	assert_false(raised(f, 0));
	assert_false(pending(f, 5));
	// Still in service: nothing, whatever the line does.
	line(f, 5, false);
	line(f, 5, true);
	assert_false(pending(f, 5));
	complete(f, 0, 5);
	assert_true(raised(f, 0));
	assert_int_equal(claim(f, 0), 5);
	line(f, 5, false);
	complete(f, 0, 5);
	assert_false(raised(f, 0));
	assert_false(pending(f, 5));
}

// A request that was forwarded stays, also when the line falls (ch. 4).
static void test_level_request_is_latched(void **state)
{
	struct fixture *f = *state;

	prepare(f, 0, 5, 1);
	line(f, 5, true);
	line(f, 5, false);
	assert_true(pending(f, 5));
	assert_int_equal(claim(f, 0), 5);
	complete(f, 0, 5);
	assert_false(pending(f, 5));
}

static void test_edge_interrupts_once_an_edge(void **state)
{
	struct fixture *f = *state;

	plic_set_edge(f->plic, 5);
	prepare(f, 0, 5, 1);
	line(f, 5, true);
	assert_int_equal(claim(f, 0), 5);
	complete(f, 0, 5);
	// The line is still high: no second one, not even by disabling and enabling.
	assert_false(raised(f, 0));
	disable(f, 0, 5);
	enable(f, 0, 5);
	assert_false(raised(f, 0));
	assert_int_equal(claim(f, 0), 0);
	line(f, 5, false);
	assert_false(raised(f, 0));
	line(f, 5, true);
	assert_true(raised(f, 0));
}

static void test_edges_during_service_are_not_lost(void **state)
{
	struct fixture *f = *state;

	plic_set_edge(f->plic, 5);
	prepare(f, 0, 5, 1);
	line(f, 5, true);
	assert_int_equal(claim(f, 0), 5);
	for (unsigned i = 0; i < 3; i++) {
		line(f, 5, false);
		line(f, 5, true);
	}
	assert_false(raised(f, 0));
	complete(f, 0, 5);
	// They have merged into one.
	assert_int_equal(claim(f, 0), 5);
	complete(f, 0, 5);
	assert_int_equal(claim(f, 0), 0);
}

// A pulse that came while the request was pending is another edge.
static void test_edge_while_pending_counts(void **state)
{
	struct fixture *f = *state;

	plic_set_edge(f->plic, 5);
	prepare(f, 0, 5, 1);
	for (unsigned i = 0; i < 2; i++) {
		line(f, 5, true);
		line(f, 5, false);
	}
	assert_int_equal(claim(f, 0), 5);
	complete(f, 0, 5);
	assert_int_equal(claim(f, 0), 5);
	complete(f, 0, 5);
	assert_int_equal(claim(f, 0), 0);
}

static void test_completion_that_does_not_fit_is_ignored(void **state)
{
	struct fixture *f = *state;
	const uint32_t wrong[] = { 0, 6, SOURCES, 1023, 1024, 0x80000005, ~0U };

	prepare(f, 0, 5, 1);
	line(f, 5, true);
	assert_int_equal(claim(f, 0), 5);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		complete(f, 0, wrong[i]);
	complete(f, 1, 5); // not enabled for this context
	assert_false(pending(f, 5));
	disable(f, 0, 5);
	complete(f, 0, 5); // nor for this one any more
	assert_false(pending(f, 5));
	enable(f, 0, 5);
	complete(f, 0, 5);
	assert_true(pending(f, 5));
	// Not claimed: a completion changes nothing.
	complete(f, 0, 5);
	assert_true(pending(f, 5));
}

static void test_every_enabled_context_is_told_and_one_claims(void **state)
{
	struct fixture *f = *state;

	prepare(f, 1, 50, 2);
	enable(f, 3, 50);
	line(f, 50, true);
	assert_false(raised(f, 0));
	assert_true(raised(f, 1));
	assert_false(raised(f, 2));
	assert_true(raised(f, 3));
	assert_int_equal(claim(f, 0), 0);
	assert_int_equal(claim(f, 3), 50);
	assert_false(raised(f, 1));
	assert_false(raised(f, 3));
	assert_int_equal(claim(f, 1), 0);
	complete(f, 1, 50); // any context that has it enabled may
	assert_true(raised(f, 3));
}

static void test_enabling_what_is_pending_interrupts(void **state)
{
	struct fixture *f = *state;

	set_priority(f, 8, 1);
	line(f, 8, true);
	assert_false(raised(f, 2));
	enable(f, 2, 8);
	assert_true(raised(f, 2));
	disable(f, 2, 8);
	assert_false(raised(f, 2));
	assert_true(pending(f, 8));
}

static void test_more_contexts_than_a_byte_counts(void **state)
{
	struct fixture *f = *state;
	const unsigned contexts[] = { 127, 128, 255, 256, MANY_CONTEXTS - 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(contexts); i++)
		prepare(f, contexts[i], 5, 1);
	line(f, 5, true);
	for (unsigned i = 0; i < ARRAY_SIZE(contexts); i++)
		assert_true(raised(f, contexts[i]));
	assert_false(raised(f, 44)); // 300 modulo 256
	assert_int_equal(claim(f, 256), 5);
	for (unsigned i = 0; i < ARRAY_SIZE(contexts); i++)
		assert_false(raised(f, contexts[i]));
}

static void test_lines_that_do_not_exist(void **state)
{
	struct fixture *f = *state;
	const unsigned numbers[] = { 0, SOURCES, 1023, 1024, 70000, ~0U };

	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
		line(f, numbers[i], true);
	for (unsigned word = 0; word < 32; word++)
		assert_int_equal(get(f, 0x1000 + 4 * word), 0);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	plic_set_edge(f->plic, 6);
	for (unsigned source = 5; source <= 7; source++) {
		prepare(f, 0, source, 3);
		line(f, source, true);
	}
	set_threshold(f, 1, 4);
	assert_int_equal(claim(f, 0), 5);
	line(f, 7, false);
	plic_reset(f->plic);
	assert_false(raised(f, 0));
	assert_int_equal(get(f, 4 * 5), 0);
	assert_int_equal(get(f, 0x2000), 0);
	assert_int_equal(get(f, 0x201000), 0);
	// 5 was claimed, yet its line is still high; the edge of 6 is history; the
	// request of 7 is forgotten.
	assert_int_equal(get(f, 0x1000), 1 << 5);
	prepare(f, 0, 5, 1);
	assert_int_equal(claim(f, 0), 5);
}

static void test_no_message_without_a_change(void **state)
{
	struct fixture *f = *state;

	prepare(f, 0, 5, 1);
	prepare(f, 0, 6, 1);
	for (unsigned i = 0; i < 100; i++) {
		line(f, 5, true);
		line(f, 6, true);
		set_threshold(f, 0, 0);
	}
	assert_int_equal(f->harts.changes[0], 1);
	assert_int_equal(f->harts.changes[1], 0);
}

// A hart that claims and completes as fast as it can sees each interrupt of a line
// that another thread pulses; none is lost, and a line at rest leaves nothing.
#define PULSES 20000

struct storm {
	struct fixture *f;
	unsigned source;
	atomic_bool over;
};

static void *pulse(void *opaque)
{
	struct storm *storm = opaque;

	for (unsigned i = 0; i < PULSES; i++) {
		line(storm->f, storm->source, true);
		line(storm->f, storm->source, false);
	}
	storm->over = true;
	return NULL;
}

static unsigned serve(struct fixture *f, unsigned context)
{
	uint32_t source = claim(f, context);

	if (source)
		complete(f, context, source);
	return source;
}

static void test_storm_ends_at_rest(void **state)
{
	struct fixture *f = *state;
	struct storm storms[] = { { .f = f, .source = 5 }, { .f = f, .source = 64 } };
	pthread_t threads[ARRAY_SIZE(storms)];
	unsigned served = 0;

	plic_set_edge(f->plic, 64);
	for (unsigned i = 0; i < ARRAY_SIZE(storms); i++) {
		prepare(f, 0, storms[i].source, 1 + i);
		enable(f, 1, storms[i].source);
		assert_int_equal(pthread_create(&threads[i], NULL, pulse, &storms[i]), 0);
	}
	while (!storms[0].over || !storms[1].over)
		served += serve(f, served % 2) != 0;
	for (unsigned i = 0; i < ARRAY_SIZE(storms); i++)
		pthread_join(threads[i], NULL);
	while (serve(f, 0))
		served++;
	assert_true(served >= 2);
	assert_false(raised(f, 0));
	assert_false(raised(f, 1));
	line(f, 5, true);
	assert_int_equal(claim(f, 1), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers_keep_what_exists),
		TEST(test_what_does_not_exist_reads_zero),
		TEST(test_other_sizes_than_32_bits_do_nothing),
		TEST(test_pending_bits_are_read_only),
		TEST(test_priority_0_never_interrupts),
		TEST(test_threshold_masks_up_to_its_value),
		TEST(test_highest_priority_then_lowest_id),
		TEST(test_level_pends_again_after_completion),
		TEST(test_level_request_is_latched),
		TEST(test_edge_interrupts_once_an_edge),
		TEST(test_edges_during_service_are_not_lost),
		TEST(test_edge_while_pending_counts),
		TEST(test_completion_that_does_not_fit_is_ignored),
		TEST(test_every_enabled_context_is_told_and_one_claims),
		TEST(test_enabling_what_is_pending_interrupts),
		cmocka_unit_test_setup_teardown(test_more_contexts_than_a_byte_counts, setup_many,
						teardown),
		TEST(test_lines_that_do_not_exist),
		TEST(test_reset),
		TEST(test_no_message_without_a_change),
		TEST(test_storm_ends_at_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
