// SPDX-License-Identifier: GPL-2.0-or-later
// SBI calls: what they return, what they ask of the accelerator, what they refuse.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../riscv/sbi.h"
#include "memory.h"
#include "riscv-accel.h"
#include "term.h"
#include "vcpu.h"

#include <cmocka.h>

#define RAM 0x80000000ULL
#define RAM_BYTES (2 * MIB)
#define HARTS 70 // more than one word of a bitmap

// -- a console of our own --

struct term {
	uint8_t output[64];
	size_t output_len;
	size_t room; // what output still fits
	const char *input;
};

size_t term_write(struct term *term, const uint8_t *data, size_t len)
{
	len = MIN(len, term->room);
	len = MIN(len, sizeof(term->output) - term->output_len);
	memcpy(term->output + term->output_len, data, len);
	term->output_len += len;
	term->room -= len;
	return len;
}

size_t term_read(struct term *term, uint8_t *data, size_t len)
{
	len = MIN(len, strlen(term->input));
	memcpy(data, term->input, len);
	term->input += len;
	return len;
}

// -- an accelerator that writes down what it is asked --

struct fixture {
	struct sbi sbi;
	struct memory memory;
	struct term term;
	struct vcpu vcpus[HARTS];
	struct vcpu_set set;
	enum riscv_hart_state states[HARTS];
	char log[4096];
	uint64_t written_gpa;
	uint64_t written_len;
};

static void note(struct vcpu *vcpu, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(struct vcpu *vcpu, const char *fmt, ...)
{
	struct fixture *f = vcpu->priv;
	size_t used = strlen(f->log);
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->log + used, sizeof(f->log) - used, fmt, args);
	va_end(args);
}

static void fake_set_timer(struct vcpu *self, uint64_t deadline)
{
	note(self, "timer %u %#llx;", self->index, (unsigned long long)deadline);
}

static void fake_send_ipi(struct vcpu *self, struct vcpu *target)
{
	note(self, "ipi %u>%u;", self->index, target->index);
}

static void fake_clear_ipi(struct vcpu *self)
{
	note(self, "clear %u;", self->index);
}

static void fake_remote_fence(struct vcpu *self, const uint64_t *targets, unsigned words,
			      const struct riscv_fence *fence)
{
	note(self, "fence %u kind %d %#llx+%#llx asid %llu on", self->index, fence->kind,
	     (unsigned long long)fence->start, (unsigned long long)fence->size_bytes,
	     (unsigned long long)fence->asid);
	for (unsigned i = 0; i < words; i++)
		note(self, " %#llx", (unsigned long long)targets[i]);
	note(self, ";");
}

static int fake_start(struct vcpu *target, uint64_t pc, uint64_t opaque)
{
	struct fixture *f = target->priv;

	if (f->states[target->index] != RISCV_HART_STOPPED)
		return -EALREADY;
	note(target, "start %u %#llx %#llx;", target->index, (unsigned long long)pc,
	     (unsigned long long)opaque);
	return 0;
}

static void fake_stop(struct vcpu *self)
{
	note(self, "stop %u;", self->index);
}

static void fake_suspend(struct vcpu *self, bool retentive, uint64_t pc, uint64_t opaque)
{
	note(self, "suspend %u %s %#llx %#llx;", self->index, retentive ? "kept" : "lost",
	     (unsigned long long)pc, (unsigned long long)opaque);
}

static enum riscv_hart_state fake_state(struct vcpu *target)
{
	struct fixture *f = target->priv;

	return f->states[target->index];
}

static int fake_cpu_info(struct vcpu *vcpu, struct riscv_cpu_info *info)
{
	*info = (struct riscv_cpu_info){ .mvendorid = 0x11, .marchid = 0x22, .mimpid = 0x33 };
	return 0;
}

static const struct riscv_hart_ops hart_ops = {
	.set_timer = fake_set_timer,
	.send_ipi = fake_send_ipi,
	.clear_ipi = fake_clear_ipi,
	.remote_fence = fake_remote_fence,
	.start = fake_start,
	.stop = fake_stop,
	.suspend = fake_suspend,
	.state = fake_state,
};

static const struct riscv_accel_ops with_harts = { .cpu_info = fake_cpu_info, .harts = &hart_ops };
static const struct riscv_accel_ops without_harts = { .cpu_info = fake_cpu_info };

static void record_written(void *opaque, uint64_t gpa, uint64_t len)
{
	struct fixture *f = opaque;

	f->written_gpa = gpa;
	f->written_len = len;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memory_init(&f->memory);
	if (memory_add_ram(&f->memory, RAM, RAM_BYTES))
		return -1;
	f->memory.written = record_written;
	f->memory.written_opaque = f;
	f->set = (struct vcpu_set){ .vcpus = f->vcpus, .count = HARTS };
	for (unsigned i = 0; i < HARTS; i++) {
		f->vcpus[i] = (struct vcpu){ .index = i, .priv = f };
		f->states[i] = RISCV_HART_STOPPED;
	}
	f->states[1] = RISCV_HART_STARTED;
	f->term = (struct term){ .room = SIZE_MAX, .input = "" };
	f->sbi = (struct sbi){
		.memory = &f->memory,
		.term = &f->term,
		.vcpus = &f->set,
		.riscv = &with_harts,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	memory_exit(&f->memory);
	free(f);
	return 0;
}

// -- calling, always as hart 1 --

struct result {
	int64_t error;
	uint64_t value;
	bool legacy;
	enum vcpu_exit exit;
};

static struct result call_sbi(struct fixture *f, uint64_t extension, uint64_t function,
			      const uint64_t args[6])
{
	struct guest_call call = { .extension = extension, .function = function, .legacy = true };
	struct result result;

	memcpy(call.args, args, sizeof(call.args));
	f->log[0] = '\0';
	result.exit = sbi_call(&f->sbi, &f->vcpus[1], &call);
	result.error = call.ret[0];
	result.value = call.ret[1];
	result.legacy = call.legacy;
	return result;
}

#define CALL(f, extension, function, ...) \
	call_sbi(f, extension, function, (const uint64_t[6]){ __VA_ARGS__ })

static int64_t error_of(struct result result)
{
	assert_int_equal(result.exit, VCPU_EXIT_KICKED);
	return result.error;
}

#define assert_call(expected_error, expected_log, ...)               \
	do {                                                         \
		struct result result_ = CALL(f, __VA_ARGS__);        \
		assert_int_equal(error_of(result_), expected_error); \
		assert_string_equal(f->log, expected_log);           \
	} while (0)

static uint64_t value_of(struct result result)
{
	assert_int_equal(error_of(result), SBI_SUCCESS);
	assert_false(result.legacy);
	return result.value;
}

static void test_base(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 0, 0)), 0x02000000);
	assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 1, 0)), SBI_IMPL_ID);
	// The registered ones are small numbers (SBI 2.0 4.9).
	assert_true(SBI_IMPL_ID > 1000);
	assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 2, 0)), SBI_IMPL_VERSION);
	assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 4, 0)), 0x11);
	assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 5, 0)), 0x22);
	assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 6, 0)), 0x33);
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_BASE, 7, 0);
}

static void test_unknown_calls_are_not_supported(void **state)
{
	struct fixture *f = *state;
	const uint64_t extensions[] = {
		9,        0xf,        0x11,       0x504d55,   0x43505043,
		0x535441, 0x08000000, 0x09000000, 0x0a000000, 1ULL << 32 | SBI_EXT_BASE,
		~0ULL
	};

	for (unsigned i = 0; i < ARRAY_SIZE(extensions); i++) {
		struct result result = CALL(f, extensions[i], 0, 0);

		assert_int_equal(error_of(result), SBI_ERR_NOT_SUPPORTED);
		assert_false(result.legacy);
		assert_int_equal(result.value, 0);
	}
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_TIME, 1, 0);
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_IPI, ~0ULL, 0);
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_RFENCE, 3, 0); // hypervisor fences
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_HSM, 4, 0);
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_DBCN, 3, 0);
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_SRST, 1, 0);
	assert_call(SBI_ERR_NOT_SUPPORTED, "", SBI_EXT_SUSP, 1, 0);
}

static void test_probe_says_what_calls_do(void **state)
{
	struct fixture *f = *state;
	const uint64_t hart_extensions[] = {
		0,           3,           4, 5, 6, 7, SBI_EXT_TIME, SBI_EXT_IPI, SBI_EXT_RFENCE,
		SBI_EXT_HSM, SBI_EXT_SUSP
	};
	const uint64_t others[] = { 1, 2, 8, SBI_EXT_BASE, SBI_EXT_SRST, SBI_EXT_DBCN };
	const uint64_t absent[] = { 9, 0x504d55, 0x43505043, 0x08000000, ~0ULL };

	for (unsigned i = 0; i < ARRAY_SIZE(hart_extensions); i++)
		assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 3, hart_extensions[i])), 1);
	f->sbi.riscv = &without_harts;
	for (unsigned i = 0; i < ARRAY_SIZE(hart_extensions); i++) {
		assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 3, hart_extensions[i])), 0);
		assert_call(SBI_ERR_NOT_SUPPORTED, "", hart_extensions[i], 0, 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 3, others[i])), 1);
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++)
		assert_int_equal(value_of(CALL(f, SBI_EXT_BASE, 3, absent[i])), 0);
}

static void test_timer(void **state)
{
	struct fixture *f = *state;

	assert_call(0, "timer 1 0x1234567890abcdef;", SBI_EXT_TIME, 0, 0x1234567890abcdef);
	assert_call(0, "timer 1 0xffffffffffffffff;", SBI_EXT_TIME, 0, ~0ULL);
}

static void test_ipi_masks(void **state)
{
	struct fixture *f = *state;

	assert_call(0, "ipi 1>0;ipi 1>1;ipi 1>3;", SBI_EXT_IPI, 0, 0xb, 0);
	assert_call(0, "ipi 1>64;ipi 1>69;", SBI_EXT_IPI, 0, 0x21, 64);
	assert_call(0, "", SBI_EXT_IPI, 0, 0, 0);
	assert_call(0, "", SBI_EXT_IPI, 0, 0, HARTS - 1);
	CALL(f, SBI_EXT_IPI, 0, 0, ~0ULL); // all of them, whatever the mask says
	assert_non_null(strstr(f->log, "ipi 1>0;"));
	assert_non_null(strstr(f->log, "ipi 1>69;"));
}

static void test_masks_of_missing_harts(void **state)
{
	struct fixture *f = *state;
	const uint64_t bad[][2] = {
		{ 1, HARTS },      { 0, HARTS },     { 1 << 6, 64 },       { ~0ULL, 64 },
		{ 1ULL << 63, 7 }, { 1, ~0ULL - 1 }, { ~0ULL, ~0ULL - 1 }, { 1, 1ULL << 63 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		// None of the harts that do exist is touched.
		assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_IPI, 0, bad[i][0], bad[i][1]);
		for (unsigned function = 0; function < 3; function++)
			assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_RFENCE, function, bad[i][0],
				    bad[i][1]);
	}
}

static void test_remote_fences(void **state)
{
	struct fixture *f = *state;

	assert_call(0, "fence 1 kind 0 0+0 asid 0 on 0x5 0;", SBI_EXT_RFENCE, 0, 5, 0, 77, 88);
	assert_call(0, "fence 1 kind 1 0x1000+0x2000 asid 0 on 0x8000000000000000 0x1;",
		    SBI_EXT_RFENCE, 1, 3, 63, 0x1000, 0x2000, 99);
	assert_call(0, "fence 1 kind 2 0x1000+0x2000 asid 99 on 0x2 0;", SBI_EXT_RFENCE, 2, 2, 0,
		    0x1000, 0x2000, 99);
	assert_call(0, "fence 1 kind 1 0+0xffffffffffffffff asid 0 on 0xffffffffffffffff 0x3f;",
		    SBI_EXT_RFENCE, 1, 0, ~0ULL, 0, ~0ULL);
}

static void test_fence_ranges(void **state)
{
	struct fixture *f = *state;

	// The last page of the address space is a range, what goes beyond is none.
	assert_int_equal(CALL(f, SBI_EXT_RFENCE, 1, 1, 0, -0x1000ULL, 0x1000).error, 0);
	assert_call(SBI_ERR_INVALID_ADDRESS, "", SBI_EXT_RFENCE, 1, 1, 0, -0x1000ULL, 0x1001);
	assert_call(SBI_ERR_INVALID_ADDRESS, "", SBI_EXT_RFENCE, 2, 1, 0, 3, ~0ULL - 1, 5);
	// "Everything" has two spellings, from any start.
	assert_int_equal(CALL(f, SBI_EXT_RFENCE, 1, 1, 0, 0x5000, ~0ULL).error, 0);
	assert_int_equal(CALL(f, SBI_EXT_RFENCE, 1, 1, 0, 0x5000, 0).error, 0);
}

static void test_hart_start(void **state)
{
	struct fixture *f = *state;

	assert_call(0, "start 69 0x80000002 0xabc;", SBI_EXT_HSM, 0, 69, RAM + 2, 0xabc);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_HSM, 0, HARTS, RAM, 0);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_HSM, 0, ~0ULL, RAM, 0);
	assert_call(SBI_ERR_ALREADY_AVAILABLE, "", SBI_EXT_HSM, 0, 1, RAM, 0);
	f->states[2] = RISCV_HART_START_PENDING;
	assert_call(SBI_ERR_ALREADY_AVAILABLE, "", SBI_EXT_HSM, 0, 2, RAM, 0);
}

static void test_start_addresses(void **state)
{
	struct fixture *f = *state;
	const uint64_t bad[] = { 0,          RAM - 2, RAM + 1, RAM + RAM_BYTES,
				 0x10000000, ~0ULL,   ~1ULL,   1ULL << 63 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		f->states[0] = f->states[1] = RISCV_HART_STOPPED;
		assert_call(SBI_ERR_INVALID_ADDRESS, "", SBI_EXT_HSM, 0, 3, bad[i], 0);
		assert_call(SBI_ERR_INVALID_ADDRESS, "", SBI_EXT_HSM, 3, 0x80000000, bad[i], 0);
		assert_call(SBI_ERR_INVALID_ADDRESS, "", SBI_EXT_SUSP, 0, 0, bad[i], 0);
	}
	assert_call(0, "start 3 0x801ffffe 0;", SBI_EXT_HSM, 0, 3, RAM + RAM_BYTES - 2, 0);
}

static void test_hart_stop_and_status(void **state)
{
	struct fixture *f = *state;

	assert_call(0, "stop 1;", SBI_EXT_HSM, 1, 0);
	assert_int_equal(value_of(CALL(f, SBI_EXT_HSM, 2, 1)), 0);
	assert_int_equal(value_of(CALL(f, SBI_EXT_HSM, 2, 69)), 1);
	f->states[5] = RISCV_HART_RESUME_PENDING;
	assert_int_equal(value_of(CALL(f, SBI_EXT_HSM, 2, 5)), 6);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_HSM, 2, HARTS);
}

static void test_hart_suspend(void **state)
{
	struct fixture *f = *state;
	const uint64_t reserved[] = { 1,          0x0fffffff, 0x10000000, 0x7fffffff,
				      0x80000001, 0x90000000, 0xffffffff };

	assert_call(0, "suspend 1 kept 0 0;", SBI_EXT_HSM, 3, 0, 0, 0);
	assert_call(0, "suspend 1 lost 0x80000040 0x7;", SBI_EXT_HSM, 3, 0x80000000, RAM + 64, 7);
	// A uint32_t arrives sign-extended.
	assert_call(0, "suspend 1 lost 0x80000040 0x7;", SBI_EXT_HSM, 3, 0xffffffff80000000,
		    RAM + 64, 7);
	for (unsigned i = 0; i < ARRAY_SIZE(reserved); i++)
		assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_HSM, 3, reserved[i], RAM, 0);
}

static void test_system_suspend(void **state)
{
	struct fixture *f = *state;

	assert_call(0, "suspend 1 lost 0x80000040 0x7;", SBI_EXT_SUSP, 0, 0, RAM + 64, 7);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_SUSP, 0, 1, RAM, 0);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_SUSP, 0, 0x80000000, RAM, 0);
	f->states[69] = RISCV_HART_STARTED;
	assert_call(SBI_ERR_DENIED, "", SBI_EXT_SUSP, 0, 0, RAM + 64, 7);
}

static void test_system_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(CALL(f, SBI_EXT_SRST, 0, 0, 0).exit, VCPU_EXIT_SHUTDOWN);
	assert_int_equal(CALL(f, SBI_EXT_SRST, 0, 0, 1).exit, VCPU_EXIT_CRASH);
	assert_int_equal(CALL(f, SBI_EXT_SRST, 0, 1, 0).exit, VCPU_EXIT_RESET);
	assert_int_equal(CALL(f, SBI_EXT_SRST, 0, 2, 1).exit, VCPU_EXIT_RESET);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_SRST, 0, 3, 0);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_SRST, 0, 0xf0000000, 0);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_SRST, 0, 0, 2);
	assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_SRST, 0, 0, 0xe0000000);
}

static void test_console_write(void **state)
{
	struct fixture *f = *state;

	memcpy(memory_ptr(&f->memory, RAM + 100, 5), "hello", 5);
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 0, 5, RAM + 100, 0)), 5);
	assert_memory_equal(f->term.output, "hello", 5);
	// A console that is nearly full takes a part, then nothing; neither waits.
	f->term.room = 2;
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 0, 5, RAM + 100, 0)), 2);
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 0, 5, RAM + 100, 0)), 0);
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 0, 0, 0, 0)), 0);
	// All of RAM may be asked for.
	f->term.room = 3;
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 0, RAM_BYTES, RAM, 0)), 3);
}

static void test_console_read(void **state)
{
	struct fixture *f = *state;

	f->term.input = "abc";
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 1, 2, RAM + 200, 0)), 2);
	assert_memory_equal(memory_ptr(&f->memory, RAM + 200, 3), "ab\0", 3);
	assert_int_equal(f->written_gpa, RAM + 200);
	assert_int_equal(f->written_len, 2);
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 1, 9, RAM + 200, 0)), 1);
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 1, 9, RAM + 200, 0)), 0);
}

static void test_console_buffers_outside_ram(void **state)
{
	struct fixture *f = *state;
	const uint64_t bad[][3] = {
		{ 1, 0, 0 },
		{ 2, RAM + RAM_BYTES - 1, 0 },
		{ 1, RAM - 1, 0 },
		{ 4, RAM, 1 },
		{ RAM_BYTES + 1, RAM, 0 },
		{ ~0ULL, RAM, 0 },
		{ ~0ULL, 1, 0 },
		{ 1, ~0ULL, 0 },
		{ 2, ~0ULL, ~0ULL },
	};

	f->term.input = "abc";
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		for (unsigned function = 0; function < 2; function++)
			assert_call(SBI_ERR_INVALID_PARAM, "", SBI_EXT_DBCN, function, bad[i][0],
				    bad[i][1], bad[i][2]);
	assert_int_equal(f->term.output_len, 0);
	assert_string_equal(f->term.input, "abc");
}

static void test_console_bytes(void **state)
{
	struct fixture *f = *state;

	assert_call(0, "", SBI_EXT_DBCN, 2, 'x');
	assert_int_equal(f->term.output[0], 'x');
	// Nobody reads: the call gives up after a while.
	f->term.room = 0;
	assert_call(SBI_ERR_FAILED, "", SBI_EXT_DBCN, 2, 'y');
}

static void test_without_a_console(void **state)
{
	struct fixture *f = *state;

	f->sbi.term = NULL;
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 0, 5, RAM, 0)), 5);
	assert_int_equal(value_of(CALL(f, SBI_EXT_DBCN, 1, 5, RAM, 0)), 0);
	assert_call(0, "", SBI_EXT_DBCN, 2, 'x');
	assert_call(0, "", SBI_EXT_PUTCHAR, 0, 'x');
	assert_call(-1, "", SBI_EXT_GETCHAR, 0, 0);
}

static void test_legacy_console(void **state)
{
	struct fixture *f = *state;
	struct result result = CALL(f, SBI_EXT_PUTCHAR, 77, 'x'); // no function id

	assert_true(result.legacy);
	assert_int_equal(result.error, 0);
	assert_int_equal(f->term.output[0], 'x');
	f->term.input = "\xff";
	result = CALL(f, SBI_EXT_GETCHAR, 0, 0);
	assert_true(result.legacy);
	assert_int_equal(result.error, 0xff); // not -1: that is "nothing there"
	assert_int_equal(CALL(f, SBI_EXT_GETCHAR, 0, 0).error, -1);
	assert_int_equal(CALL(f, SBI_EXT_SHUTDOWN, 0, 0).exit, VCPU_EXIT_SHUTDOWN);
}

static void test_legacy_harts(void **state)
{
	struct fixture *f = *state;

	f->set.count = 3;
	assert_call(0, "timer 1 0x5;", SBI_EXT_SET_TIMER, 0, 5);
	assert_call(0, "clear 1;", SBI_EXT_CLEAR_IPI, 0, 0);
	// Their masks are virtual addresses, never read: everybody is meant.
	assert_call(0, "ipi 1>0;ipi 1>1;ipi 1>2;", SBI_EXT_SEND_IPI, 0, ~0ULL);
	assert_call(0, "fence 1 kind 0 0+0 asid 0 on 0x7;", SBI_EXT_REMOTE_FENCE_I, 0, 0);
	assert_call(0, "fence 1 kind 1 0+0 asid 0 on 0x7;", SBI_EXT_REMOTE_SFENCE_VMA, 0, 8, 9, 10);
	assert_call(0, "fence 1 kind 1 0+0 asid 0 on 0x7;", SBI_EXT_REMOTE_SFENCE_VMA_ASID, 0, 8, 9,
		    10, 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_base),
		TEST(test_unknown_calls_are_not_supported),
		TEST(test_probe_says_what_calls_do),
		TEST(test_timer),
		TEST(test_ipi_masks),
		TEST(test_masks_of_missing_harts),
		TEST(test_remote_fences),
		TEST(test_fence_ranges),
		TEST(test_hart_start),
		TEST(test_start_addresses),
		TEST(test_hart_stop_and_status),
		TEST(test_hart_suspend),
		TEST(test_system_suspend),
		TEST(test_system_reset),
		TEST(test_console_write),
		TEST(test_console_read),
		TEST(test_console_buffers_outside_ram),
		TEST(test_console_bytes),
		TEST(test_without_a_console),
		TEST(test_legacy_console),
		TEST(test_legacy_harts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
