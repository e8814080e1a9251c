// SPDX-License-Identifier: GPL-2.0-or-later
// vCPU threads: start, pause, resume, stop, and the dispatch of guest accesses.
//
// Each thread alternates between run() and being parked. The main thread asks for
// a change under set->lock, kicks every vCPU, and waits until all have parked; a
// kick that finds a vCPU outside run() makes its next run() return at once, so
// none is ever lost.

#include "vcpu.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "log.h"
#include "loop.h"
#include "thread.h"

// clang-format off
static const char *const exit_names[] = {
	[VCPU_EXIT_KICKED] = "kicked",
	[VCPU_EXIT_SHUTDOWN] = "shutdown",
	[VCPU_EXIT_RESET] = "reset",
	[VCPU_EXIT_CRASH] = "crash",
	[VCPU_EXIT_DEBUG] = "debug",
	[VCPU_EXIT_FAILED] = "failed",
};
// clang-format on
static_assert(ARRAY_SIZE(exit_names) == VCPU_EXIT_COUNT, "a name for each exit");

const char *vcpu_exit_name(enum vcpu_exit exit)
{
	return exit < VCPU_EXIT_COUNT ? exit_names[exit] : "unknown";
}

// -- own thread --

// Tells the thread in await_parked(); set->lock is held.
static void set_parked(struct vcpu *vcpu, bool parked)
{
	struct vcpu_set *set = vcpu->set;

	vcpu->parked = parked;
	if (!parked)
		return;
	pthread_cond_broadcast(&set->changed);
	if (set->host.loop && (set->paused || set->stopping))
		loop_wake(set->host.loop);
}

// Waits, parked, until the vCPU may run; false when its thread is to end.
static bool wait_to_run(struct vcpu *vcpu)
{
	struct vcpu_set *set = vcpu->set;
	bool run;

	pthread_mutex_lock(&set->lock);
	if (set->paused || set->stopping || vcpu->left)
		set_parked(vcpu, true);
	while (!set->stopping && (set->paused || vcpu->left))
		pthread_cond_wait(&set->changed, &set->lock);
	run = !set->stopping;
	if (run)
		set_parked(vcpu, false);
	pthread_mutex_unlock(&set->lock);
	return run;
}

static void report_exit(struct vcpu *vcpu, enum vcpu_exit exit)
{
	struct vcpu_set *set = vcpu->set;

	// First, so that a resume that answers exited() at once is not lost.
	pthread_mutex_lock(&set->lock);
	vcpu->left = true;
	pthread_mutex_unlock(&set->lock);
	set->host.exited(set->host.opaque, vcpu, exit);
}

// All signals are blocked here; an accelerator whose kick is a signal (KVM) lets
// that one through in its own run(), and only there.
static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	while (wait_to_run(vcpu)) {
		enum vcpu_exit exit = vcpu->accel->ops->run(vcpu);

		if (exit != VCPU_EXIT_KICKED)
			report_exit(vcpu, exit);
	}
	return NULL;
}

// Who makes the access: an attribute of the bus cycle that only a few registers look
// at, so it does not travel through every handler's arguments.
static _Thread_local struct vcpu *accessing;

struct vcpu *vcpu_accessing(void)
{
	return accessing;
}

static int access_bus(struct vcpu *vcpu, struct bus *bus, uint64_t addr, void *data, unsigned len,
		      bool is_write)
{
	int ret;

	accessing = vcpu;
	ret = is_write ? bus_write(bus, addr, data, len) : bus_read(bus, addr, data, len);
	accessing = NULL;
	return ret;
}

int vcpu_mmio(struct vcpu *vcpu, uint64_t gpa, void *data, unsigned len, bool is_write)
{
	return access_bus(vcpu, vcpu->set->mmio, gpa, data, len, is_write);
}

int vcpu_pio(struct vcpu *vcpu, uint16_t port, void *data, unsigned len, bool is_write)
{
	if (vcpu->set->pio)
		return access_bus(vcpu, vcpu->set->pio, port, data, len, is_write);
	if (!is_write)
		memset(data, 0, len);
	return -ENXIO;
}

enum vcpu_exit vcpu_guest_call(struct vcpu *vcpu, struct guest_call *call)
{
	const struct vcpu_host *host = &vcpu->set->host;

	return host->guest_call(host->opaque, vcpu, call);
}

// -- main thread --

static int init_vcpus(struct vcpu_set *set, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct vcpu *vcpu = &set->vcpus[i];
		int ret;

		*vcpu = (struct vcpu){
			.index = i,
			.accel = set->accel,
			.set = set,
			.parked = true,
		};
		ret = set->accel->ops->vcpu_init(vcpu);
		if (ret)
			return ret;
		set->count++;
	}
	return 0;
}

int vcpu_set_init(struct vcpu_set *set, struct accel *accel, unsigned count, struct bus *mmio,
		  struct bus *pio, struct vcpu_host host)
{
	int ret;

	*set = (struct vcpu_set){
		.vcpus = calloc(count, sizeof(*set->vcpus)),
		.accel = accel,
		.mmio = mmio,
		.pio = pio,
		.host = host,
		.paused = true,
	};
	if (!set->vcpus)
		return fail(ENOMEM, "%u vCPUs", count);
	pthread_mutex_init(&set->lock, NULL);
	pthread_cond_init(&set->changed, NULL);
	accel->vcpus = set;
	ret = init_vcpus(set, count);
	if (ret)
		vcpu_set_exit(set);
	return ret;
}

int vcpu_set_start(struct vcpu_set *set)
{
	for (unsigned i = 0; i < set->count; i++) {
		struct vcpu *vcpu = &set->vcpus[i];
		char name[24];
		int ret;

		snprintf(name, sizeof(name), "kvik-vcpu-%u", i);
		ret = thread_create(&vcpu->thread, name, vcpu_thread, vcpu);
		if (ret) {
			vcpu_set_stop(set);
			return ret;
		}
		vcpu->has_thread = true;
	}
	return 0;
}

int vcpu_set_pin(struct vcpu_set *set, const cpu_set_t *cpus)
{
	for (unsigned i = 0; i < set->count; i++) {
		int err = pthread_setaffinity_np(set->vcpus[i].thread, sizeof(*cpus), cpus);

		if (err)
			return -err;
	}
	return 0;
}

static bool all_parked(const struct vcpu_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		if (!set->vcpus[i].parked)
			return false;
	return true;
}

static void kick_all(struct vcpu_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->vcpus[i].has_thread)
			set->accel->ops->kick(&set->vcpus[i]);
}

// set->lock is held, and given up while waiting.
static void await_parked(struct vcpu_set *set)
{
	while (!all_parked(set)) {
		if (!set->host.loop) {
			pthread_cond_wait(&set->changed, &set->lock);
			continue;
		}
		pthread_mutex_unlock(&set->lock);
		loop_wait_posts(set->host.loop);
		pthread_mutex_lock(&set->lock);
	}
}

void vcpu_set_pause(struct vcpu_set *set)
{
	pthread_mutex_lock(&set->lock);
	set->paused = true;
	kick_all(set);
	await_parked(set);
	pthread_mutex_unlock(&set->lock);
}

void vcpu_set_resume(struct vcpu_set *set)
{
	pthread_mutex_lock(&set->lock);
	set->paused = false;
	for (unsigned i = 0; i < set->count; i++)
		set->vcpus[i].left = false;
	pthread_cond_broadcast(&set->changed);
	pthread_mutex_unlock(&set->lock);
}

void vcpu_set_stop(struct vcpu_set *set)
{
	pthread_mutex_lock(&set->lock);
	set->stopping = true;
	kick_all(set);
	pthread_cond_broadcast(&set->changed);
	await_parked(set);
	pthread_mutex_unlock(&set->lock);

	for (unsigned i = 0; i < set->count; i++) {
		if (set->vcpus[i].has_thread)
			pthread_join(set->vcpus[i].thread, NULL);
		set->vcpus[i].has_thread = false;
	}
	set->stopping = false;
	set->paused = true;
}

void vcpu_set_exit(struct vcpu_set *set)
{
	while (set->count)
		set->accel->ops->vcpu_exit(&set->vcpus[--set->count]);
	free(set->vcpus);
	set->vcpus = NULL;
	pthread_cond_destroy(&set->changed);
	pthread_mutex_destroy(&set->lock);
}
