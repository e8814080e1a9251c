// SPDX-License-Identifier: GPL-2.0-or-later
// A scripted accelerator: drives devices from real vCPU threads without a CPU.

#include "fake-accel.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LINE_COUNT 64
#define RUN_TIMEOUT_MS 10000

struct fake_vcpu {
	pthread_mutex_t lock; // guards everything below
	pthread_cond_t changed;
	bool kicked;
	bool level[LINE_COUNT];
	unsigned edges[LINE_COUNT];
	unsigned runs;
	// Written by the main thread while paused, then by the vCPU's own.
	const struct fake_step *steps;
	unsigned step_count;
	unsigned next_step;
	uint64_t repeated;
	bool done;
	char failure[160];
};

// -- main thread --

static int fake_available(struct accel *accel, char *why, size_t size)
{
	return 0;
}

static int fake_accel_init(struct accel *accel)
{
	return 0;
}

static void fake_accel_exit(struct accel *accel)
{
}

static int fake_vcpu_init(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return -ENOMEM;
	pthread_mutex_init(&fake->lock, NULL);
	pthread_cond_init(&fake->changed, NULL);
	fake->done = true;
	vcpu->priv = fake;
	return 0;
}

static void fake_vcpu_exit(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->priv;

	pthread_cond_destroy(&fake->changed);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

static size_t fake_dump(struct vcpu *vcpu, char *text, size_t size)
{
	struct fake_vcpu *fake = vcpu->priv;

	return snprintf(text, size, "step %u of %u\n", fake->next_step, fake->step_count);
}

void fake_vcpu_script(struct vcpu *vcpu, const struct fake_step *steps, unsigned count)
{
	struct fake_vcpu *fake = vcpu->priv;

	pthread_mutex_lock(&fake->lock);
	fake->steps = steps;
	fake->step_count = count;
	fake->next_step = 0;
	fake->repeated = 0;
	fake->done = !count;
	fake->failure[0] = 0;
	pthread_mutex_unlock(&fake->lock);
}

// -- own thread --

static void note_failure(struct fake_vcpu *fake, unsigned index, uint64_t got, int result)
{
	const struct fake_step *step = &fake->steps[index];

	if (fake->failure[0])
		return;
	snprintf(fake->failure, sizeof(fake->failure),
		 "step %u (op %d at 0x%" PRIx64 " len %u): 0x%" PRIx64
		 ", result %d; expected 0x%" PRIx64 ", result %d",
		 index, step->op, step->addr, step->len, got, result, step->value, step->result);
}

static bool make_access(struct vcpu *vcpu, const struct fake_step *step, uint64_t *got, int *result)
{
	bool port = step->op == FAKE_OP_PIO_READ || step->op == FAKE_OP_PIO_WRITE;
	bool write = step->op == FAKE_OP_MMIO_WRITE || step->op == FAKE_OP_PIO_WRITE;
	uint64_t data = write ? step->value : UINT64_MAX;

	*result = port ? vcpu_pio(vcpu, step->addr, &data, step->len, write) :
			 vcpu_mmio(vcpu, step->addr, &data, step->len, write);
	if (!write && step->len < sizeof(data))
		data &= (1ULL << 8 * step->len) - 1;
	*got = data;
	return *result == step->result && data == step->value;
}

static bool make_call(struct vcpu *vcpu, const struct fake_step *step, enum vcpu_exit *exit,
		      uint64_t *got)
{
	struct guest_call call = { .extension = step->addr, .function = step->len };

	*exit = vcpu_guest_call(vcpu, &call);
	*got = call.ret[1];
	return call.ret[1] == step->value;
}

// Sleeps until the condition of a WAIT step; false when a kick came first. The
// lock is held.
static bool wait_for_irq(struct fake_vcpu *fake, const struct fake_step *step)
{
	while (!fake->kicked && fake->level[step->addr] != (bool)step->value)
		pthread_cond_wait(&fake->changed, &fake->lock);
	return fake->level[step->addr] == (bool)step->value;
}

static void advance(struct fake_vcpu *fake)
{
	if (fake->repeated++ < fake->steps[fake->next_step].repeat)
		return;
	fake->repeated = 0;
	fake->next_step++;
}

// One step, made without the lock, since devices may raise lines meanwhile.
static enum vcpu_exit make_step(struct vcpu *vcpu, const struct fake_step *step)
{
	struct fake_vcpu *fake = vcpu->priv;
	enum vcpu_exit exit = VCPU_EXIT_KICKED;
	unsigned index = fake->next_step;
	uint64_t got = 0;
	bool ok = true;
	int result = 0;

	advance(fake);
	pthread_mutex_unlock(&fake->lock);
	if (step->op == FAKE_OP_FUNCTION)
		step->function(vcpu, step->arg);
	else if (step->op == FAKE_OP_CALL)
		ok = make_call(vcpu, step, &exit, &got);
	else if (step->op == FAKE_OP_EXIT)
		exit = step->exit;
	else
		ok = make_access(vcpu, step, &got, &result);
	pthread_mutex_lock(&fake->lock);
	if (!ok)
		note_failure(fake, index, got, result);
	return exit;
}

static void sleep_until_kicked(struct fake_vcpu *fake)
{
	while (!fake->kicked)
		pthread_cond_wait(&fake->changed, &fake->lock);
}

// The lock is held.
static enum vcpu_exit run_next_step(struct vcpu *vcpu, struct fake_vcpu *fake)
{
	const struct fake_step *step;

	if (fake->next_step == fake->step_count) {
		fake->done = true;
		pthread_cond_broadcast(&fake->changed);
		sleep_until_kicked(fake);
		return VCPU_EXIT_KICKED;
	}
	step = &fake->steps[fake->next_step];
	switch (step->op) {
	case FAKE_OP_WAIT_KICK:
		sleep_until_kicked(fake);
		advance(fake);
		return VCPU_EXIT_KICKED;
	case FAKE_OP_WAIT_IRQ:
		if (wait_for_irq(fake, step))
			advance(fake);
		return VCPU_EXIT_KICKED;
	default:
		return make_step(vcpu, step);
	}
}

static enum vcpu_exit run_steps(struct vcpu *vcpu, struct fake_vcpu *fake)
{
	while (!fake->kicked) {
		enum vcpu_exit exit = run_next_step(vcpu, fake);

		if (exit != VCPU_EXIT_KICKED)
			return exit;
	}
	fake->kicked = false;
	return VCPU_EXIT_KICKED;
}

static enum vcpu_exit fake_run(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->priv;
	enum vcpu_exit exit;

	pthread_mutex_lock(&fake->lock);
	fake->runs++;
	exit = run_steps(vcpu, fake);
	pthread_mutex_unlock(&fake->lock);
	return exit;
}

// -- any thread --

static void fake_kick(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->priv;

	pthread_mutex_lock(&fake->lock);
	fake->kicked = true;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

static void fake_irq(struct vcpu *vcpu, unsigned line, bool high)
{
	struct fake_vcpu *fake = vcpu->priv;

	pthread_mutex_lock(&fake->lock);
	if (high && !fake->level[line])
		fake->edges[line]++;
	fake->level[line] = high;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

const struct accel_ops fake_accel_ops = {
	.name = "fake",
	.available = fake_available,
	.vm_init = fake_accel_init,
	.vm_exit = fake_accel_exit,
	.map_ram = fake_accel_init,
	.vcpu_init = fake_vcpu_init,
	.vcpu_exit = fake_vcpu_exit,
	.dump = fake_dump,
	.run = fake_run,
	.kick = fake_kick,
	.irq = fake_irq,
};

bool fake_vcpu_wait_done(struct vcpu *vcpu, unsigned timeout_ms)
{
	struct fake_vcpu *fake = vcpu->priv;
	struct timespec until;
	int error = 0;
	bool done;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&fake->lock);
	while (!fake->done && !error)
		error = pthread_cond_timedwait(&fake->changed, &fake->lock, &until);
	done = fake->done;
	pthread_mutex_unlock(&fake->lock);
	return done;
}

const char *fake_vcpu_failure(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->priv;
	bool failed;

	pthread_mutex_lock(&fake->lock);
	failed = fake->failure[0];
	pthread_mutex_unlock(&fake->lock);
	return failed ? fake->failure : NULL;
}

bool fake_vcpu_irq_level(struct vcpu *vcpu, unsigned line)
{
	struct fake_vcpu *fake = vcpu->priv;
	bool level;

	pthread_mutex_lock(&fake->lock);
	level = fake->level[line];
	pthread_mutex_unlock(&fake->lock);
	return level;
}

unsigned fake_vcpu_irq_edges(struct vcpu *vcpu, unsigned line)
{
	struct fake_vcpu *fake = vcpu->priv;
	unsigned edges;

	pthread_mutex_lock(&fake->lock);
	edges = fake->edges[line];
	pthread_mutex_unlock(&fake->lock);
	return edges;
}

unsigned fake_vcpu_runs(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->priv;
	unsigned runs;

	pthread_mutex_lock(&fake->lock);
	runs = fake->runs;
	pthread_mutex_unlock(&fake->lock);
	return runs;
}

// -- a whole machine --

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
	struct fake_irqchip *fake = container_of(chip, struct fake_irqchip, chip);

	fake_irq(fake->vcpu, number, high);
}

static unsigned fdt_cells_of_line(const struct irqchip *chip, unsigned number, bool edge,
				  uint32_t cells[4])
{
	cells[0] = number;
	return 1;
}

static const struct irqchip_ops fake_irqchip_ops = {
	.set_line = set_line,
	.fdt_interrupt = fdt_cells_of_line,
};

static enum vcpu_exit answer_nothing(void *opaque, struct vcpu *vcpu, struct guest_call *call)
{
	call->ret[0] = 0;
	call->ret[1] = 0;
	return VCPU_EXIT_KICKED;
}

static void ignore_exit(void *opaque, struct vcpu *vcpu, enum vcpu_exit exit)
{
}

void fake_vm_init(struct fake_vm *vm, unsigned vcpu_count)
{
	struct vcpu_host host = { .guest_call = answer_nothing, .exited = ignore_exit };

	fake_vm_init_host(vm, vcpu_count, &host);
}

void fake_vm_init_host(struct fake_vm *vm, unsigned vcpu_count, const struct vcpu_host *host)
{
	*vm = (struct fake_vm){
		.accel = { .ops = &fake_accel_ops, .memory = &vm->memory },
		.irqchip.chip = { .ops = &fake_irqchip_ops, .fdt_phandle = 1 },
	};
	memory_init(&vm->memory);
	bus_init(&vm->mmio);
	bus_init(&vm->pio);
	assert_int_equal(vm->accel.ops->vm_init(&vm->accel), 0);
	assert_int_equal(
		vcpu_set_init(&vm->vcpus, &vm->accel, vcpu_count, &vm->mmio, &vm->pio, *host), 0);
	vm->irqchip.vcpu = &vm->vcpus.vcpus[0];
	assert_int_equal(vcpu_set_start(&vm->vcpus), 0);
}

void fake_vm_add(struct fake_vm *vm, struct device *dev)
{
	assert_int_equal(device_list_add(&vm->devices, &vm->mmio, dev), 0);
}

struct irq_line fake_vm_irq(struct fake_vm *vm, unsigned line)
{
	assert_in_range(line, 0, LINE_COUNT - 1);
	return (struct irq_line){ .chip = &vm->irqchip.chip, .number = line };
}

void fake_vm_script(struct fake_vm *vm, unsigned vcpu, const struct fake_step *steps,
		    unsigned count)
{
	fake_vcpu_script(&vm->vcpus.vcpus[vcpu], steps, count);
}

void fake_vm_run(struct fake_vm *vm)
{
	bool done = true;

	vcpu_set_resume(&vm->vcpus);
	for (unsigned i = 0; i < vm->vcpus.count && done; i++)
		done = fake_vcpu_wait_done(&vm->vcpus.vcpus[i], RUN_TIMEOUT_MS);
	vcpu_set_pause(&vm->vcpus);
	for (unsigned i = 0; i < vm->vcpus.count; i++) {
		const char *failure = fake_vcpu_failure(&vm->vcpus.vcpus[i]);

		if (failure)
			fail_msg("vCPU %u: %s", i, failure);
	}
	if (!done)
		fail_msg("a script did not end within %d ms", RUN_TIMEOUT_MS);
}

void fake_vm_exit(struct fake_vm *vm)
{
	vcpu_set_stop(&vm->vcpus);
	device_list_free(&vm->devices);
	vcpu_set_exit(&vm->vcpus);
	vm->accel.ops->vm_exit(&vm->accel);
	bus_exit(&vm->pio);
	bus_exit(&vm->mmio);
	memory_exit(&vm->memory);
}
