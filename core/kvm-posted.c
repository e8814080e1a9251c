// SPDX-License-Identifier: GPL-2.0-or-later
// Stores that KVM collects in a ring (api.rst, 4.116 KVM_REGISTER_COALESCED_MMIO), so
// that a guest's console output costs an exit for each look at the port, not for each
// byte as well.
//
// The ring is looked at before each exit is handled, so all of a vCPU's accesses stay in
// order. A guest that stores and then has no exits would leave its last bytes there, so
// the main loop looks too, every 10 ms; and so that an idle guest costs nothing, the
// kernel only collects while there is something to: many exits in a short time for
// stores to one register begin it, half a second without any ends it.
//
// A lock orders the readers of the ring; device locks are taken inside it.

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bus.h"
#include "kvm-exit.h"
#include "kvm-host.h"
#include "log.h"
#include "loop.h"

#define MANY_STORES 32
#define SHORT_TIME_NS (100 * NSEC_PER_MSEC)
#define LOOK_NS (10 * NSEC_PER_MSEC)
#define IDLE_LOOKS 50

struct kvm_posted {
	struct accel *accel;
	unsigned page; // of kvm_run where the ring is
	bool has_ports;
	atomic_bool collecting; // written with the lock held

	pthread_mutex_t lock; // guards the rest, apart from the timer
	struct kvm_coalesced_mmio_ring *ring;
	struct kvm_coalesced_mmio_zone zone; // the register in question
	unsigned stores;                     // that were exits, in a row
	uint64_t last_store_ns;
	uint64_t delivered;
	bool refused;

	// Main loop.
	struct loop *loop; // NULL: not needed yet
	struct loop_post begin;
	struct loop_timer timer;
	uint64_t delivered_at_look;
	unsigned idle_looks;
};

static struct kvm_posted *posted_of(const struct accel *accel)
{
	return kvm_vm(accel)->posted;
}

// -- the ring; with the lock held --

static unsigned ring_slots(void)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE) - sizeof(struct kvm_coalesced_mmio_ring);

	return bytes / sizeof(struct kvm_coalesced_mmio);
}

static void deliver_one(struct kvm_posted *posted, const struct kvm_coalesced_mmio *store)
{
	struct vcpu_set *set = posted->accel->vcpus;
	struct bus *bus = store->pio ? set->pio : set->mmio;

	// Its register is there: it was when the kernel was told to collect for it.
	if (bus_write(bus, store->phys_addr, store->data, store->len) == 0)
		posted->delivered++;
}

static void deliver(struct kvm_posted *posted)
{
	struct kvm_coalesced_mmio_ring *ring = posted->ring;
	unsigned slots = ring_slots();
	uint32_t first = ring->first;

	while (first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		deliver_one(posted, &ring->coalesced_mmio[first % slots]);
		first = (first + 1) % slots;
		__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
	}
}

static int tell_kvm(struct kvm_posted *posted, unsigned long request)
{
	return ioctl(kvm_vm(posted->accel)->fd, request, &posted->zone) < 0 ? -errno : 0;
}

// Other vCPUs look at the ring from the flag on; KVM may fill it before its call is over.
static void begin_collecting(struct kvm_posted *posted)
{
	atomic_store(&posted->collecting, true);
	if (tell_kvm(posted, KVM_REGISTER_COALESCED_MMIO)) {
		posted->refused = true;
		atomic_store(&posted->collecting, false);
		return;
	}
	loop_post(posted->loop, &posted->begin);
}

static void end_collecting(struct kvm_posted *posted)
{
	if (tell_kvm(posted, KVM_UNREGISTER_COALESCED_MMIO))
		return; // then it goes on
	deliver(posted);
	posted->stores = 0;
	atomic_store(&posted->collecting, false);
}

// -- main loop --

static void look(struct loop_timer *timer)
{
	struct kvm_posted *posted = container_of(timer, struct kvm_posted, timer);
	bool collecting;

	pthread_mutex_lock(&posted->lock);
	deliver(posted);
	if (posted->delivered != posted->delivered_at_look)
		posted->idle_looks = 0;
	else if (++posted->idle_looks >= IDLE_LOOKS)
		end_collecting(posted);
	posted->delivered_at_look = posted->delivered;
	collecting = atomic_load(&posted->collecting);
	pthread_mutex_unlock(&posted->lock);
	if (collecting)
		loop_arm_timer(posted->loop, timer, clock_monotonic_ns() + LOOK_NS);
}

static void begin_looking(struct loop_post *post)
{
	struct kvm_posted *posted = container_of(post, struct kvm_posted, begin);

	posted->idle_looks = 0;
	look(&posted->timer);
}

// -- vCPU threads --

void kvm_posted_deliver(struct vcpu *vcpu)
{
	struct kvm_posted *posted = posted_of(vcpu->accel);

	if (!posted || !atomic_load(&posted->collecting))
		return;
	pthread_mutex_lock(&posted->lock);
	deliver(posted);
	pthread_mutex_unlock(&posted->lock);
}

// Counts the stores to one register that follow each other quickly.
static bool are_many(struct kvm_posted *posted, const struct kvm_coalesced_mmio_zone *zone)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (zone->addr != posted->zone.addr || zone->pio != posted->zone.pio ||
	    zone->size != posted->zone.size || now_ns - posted->last_store_ns > SHORT_TIME_NS)
		posted->stores = 0;
	posted->zone = *zone;
	posted->last_store_ns = now_ns;
	return ++posted->stores >= MANY_STORES;
}

static void open_ring(struct kvm_posted *posted, const struct vcpu *vcpu)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

	posted->loop = vcpu->set->host.loop;
	posted->ring =
		(void *)((char *)kvm_vcpu(&vcpu->set->vcpus[0])->run + posted->page * page_bytes);
}

void kvm_posted_wrote(struct vcpu *vcpu, bool pio, uint64_t addr, unsigned len)
{
	struct kvm_posted *posted = posted_of(vcpu->accel);
	const struct bus *bus = pio ? vcpu->set->pio : vcpu->set->mmio;
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = len, .pio = pio };

	if (!posted || (pio && !posted->has_ports) || !vcpu->set->host.loop ||
	    !bus_may_post(bus, addr, len))
		return;
	pthread_mutex_lock(&posted->lock);
	if (!atomic_load(&posted->collecting) && !posted->refused && are_many(posted, &zone)) {
		open_ring(posted, vcpu);
		begin_collecting(posted);
	}
	pthread_mutex_unlock(&posted->lock);
}

// -- life --

int kvm_posted_init(struct accel *accel)
{
	int page = kvm_check(accel, KVM_CAP_COALESCED_MMIO);
	struct kvm_posted *posted;

	if (!page)
		return 0;
	posted = calloc(1, sizeof(*posted));
	if (!posted)
		return fail(ENOMEM, "KVM: posted stores");
	posted->accel = accel;
	posted->page = (unsigned)page;
	posted->has_ports = kvm_check(accel, KVM_CAP_COALESCED_PIO);
	posted->begin.call = begin_looking;
	posted->timer.expired = look;
	pthread_mutex_init(&posted->lock, NULL);
	kvm_vm(accel)->posted = posted;
	return 0;
}

void kvm_posted_exit(struct accel *accel)
{
	struct kvm_posted *posted = posted_of(accel);

	if (!posted)
		return;
	if (posted->loop) {
		loop_cancel_post(posted->loop, &posted->begin);
		loop_disarm_timer(posted->loop, &posted->timer);
	}
	pthread_mutex_destroy(&posted->lock);
	free(posted);
	kvm_vm(accel)->posted = NULL;
}
