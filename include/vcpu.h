// SPDX-License-Identifier: GPL-2.0-or-later
// vCPU threads and the accelerator that runs their instructions.
//
// An accelerator (KVM, the software engine, the tests' script) is one const table
// of struct accel_ops. The threads, the run loop, kicks and pauses live in
// core/vcpu.c and are the same for all of them; so is the dispatch of what a
// guest access means: vcpu_mmio(), vcpu_pio(), vcpu_guest_call().
#ifndef KVIK_VCPU_H
#define KVIK_VCPU_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct arm_accel_ops;
struct bus;
struct bus_doorbell;
struct bus_page;
struct cpu_view;
struct loop;
struct memory;
struct metric_sink;
struct riscv_accel_ops;
struct vcpu;
struct vcpu_set;
struct vm_config;
struct x86_accel_ops;

// Why accel_ops.run() returned. VCPU_EXIT_KICKED: somebody called kick().
enum vcpu_exit {
	VCPU_EXIT_KICKED,
	VCPU_EXIT_SHUTDOWN, // the guest switched the machine off
	VCPU_EXIT_RESET,    // the guest asked for a reset
	VCPU_EXIT_CRASH,    // the guest reported that it died
	VCPU_EXIT_DEBUG,    // a breakpoint or step of ours
	VCPU_EXIT_FAILED,   // the accelerator cannot go on
	VCPU_EXIT_COUNT
};
const char *vcpu_exit_name(enum vcpu_exit exit);

// An instance of an accelerator: one per VM, owned by it.
struct accel {
	const struct accel_ops *ops;
	struct memory *memory;
	const struct vm_config *config;
	struct vcpu_set *vcpus; // set before the first vcpu_init
	int probed_fd;          // what available() had to open and vm_init takes over; 0: nothing
	void *priv;             // the accelerator's own, made by vm_init
};

struct accel_ops {
	const char *name; // as in --accel

	// -- main thread, vCPUs stopped --

	// 0 when it can run here; else -errno, with the reason and the remedy in
	// @why (at most @size bytes). Of @accel only the config is set. Without a vm_init
	// afterwards, the caller closes accel->probed_fd.
	int (*available)(struct accel *accel, char *why, size_t size);
	int (*vm_init)(struct accel *accel);
	void (*vm_exit)(struct accel *accel); // after every vcpu_exit
	// Makes all banks of accel->memory known to the accelerator.
	int (*map_ram)(struct accel *accel);
	int (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_exit)(struct vcpu *vcpu);
	// Readable registers into @text, for a crash report; returns its length.
	size_t (*dump)(struct vcpu *vcpu, char *text, size_t size);
	// Fills in all but the memory, which is set, of @view, all else zero. False: it cannot
	// be told. NULL: never.
	bool (*view)(struct vcpu *vcpu, struct cpu_view *view);
	// A non-maskable interrupt; 0 or -errno (no message). NULL: there is none.
	int (*nmi)(struct vcpu *vcpu);
	// Tells what it has counted; main thread, vCPUs may run. NULL: nothing.
	void (*metrics)(struct accel *accel, struct metric_sink *sink);

	// -- own thread only --

	enum vcpu_exit (*run)(struct vcpu *vcpu);

	// -- any thread --

	// Makes run() return VCPU_EXIT_KICKED soon; kept if run() is not running,
	// so that no kick is ever lost.
	void (*kick)(struct vcpu *vcpu);
	// Drives the interrupt input @line of a vCPU (RISC-V: the cause number,
	// 9 = supervisor external).
	void (*irq)(struct vcpu *vcpu, unsigned line, bool high);

	// -- optional, main thread: NULL where the software does it --

	// Makes the guest's clock stand still (@hold), or go on from there; in turns, vCPUs
	// stopped. Hardware clocks (hw/) are none of it: they keep the host's time.
	void (*hold_clock)(struct accel *accel, bool hold);

	// Has the kernel take a store to @doorbell's address and signal its eventfd, until
	// the VM ends; as bus_add_doorbell().
	int (*doorbell_fd)(struct accel *accel, const struct bus_doorbell *doorbell);
	// As bus_show_page(), any thread.
	int (*show_page)(struct accel *accel, const struct bus_page *page, const void *bytes);
	// Has the kernel pulse input @gsi of its interrupt controller for each signal on
	// @event_fd, until that is closed. 0 or -errno without a message. Any thread.
	int (*irq_fd)(struct accel *accel, unsigned gsi, int event_fd);

	// What the machine of one architecture uses; NULL where the accelerator does not
	// run its guests.
	const struct arm_accel_ops *arm;     // arm-accel.h
	const struct riscv_accel_ops *riscv; // riscv-accel.h
	const struct x86_accel_ops *x86;     // x86-accel.h
};

// A call from the guest to its execution environment (RISC-V: SBI 2.0 ch. 3).
struct guest_call {
	uint64_t extension; // a7
	uint64_t function;  // a6
	uint64_t args[6];   // a0 to a5
	uint64_t ret[2];    // a0, a1 on return
	bool legacy;        // on return: only ret[0] is written back
};

struct vcpu {
	unsigned index;
	struct accel *accel;
	struct vcpu_set *set;
	void *priv; // the accelerator's own, made by vcpu_init
	pthread_t thread;
	bool has_thread;
	bool parked; // not in run(); guarded by set->lock
	bool left;   // run() returned for another reason than a kick; as parked
};

// What the machine and the VM give to the vCPUs.
struct vcpu_host {
	// Answers a guest call; returns VCPU_EXIT_KICKED to go on, or why to stop.
	enum vcpu_exit (*guest_call)(void *opaque, struct vcpu *vcpu, struct guest_call *call);
	// Told when a vCPU left for another reason than a kick; that vCPU then waits
	// until vcpu_set_resume(). Runs on the vCPU's thread: it only posts.
	void (*exited)(void *opaque, struct vcpu *vcpu, enum vcpu_exit exit);
	void *opaque;
	// The main thread's loop: its posts are served while vcpu_set_pause() and
	// vcpu_set_stop() wait, since a register handler may be waiting for one.
	// NULL: no handler ever does.
	struct loop *loop;
};

struct vcpu_set {
	struct vcpu *vcpus;
	unsigned count;
	struct accel *accel;
	struct bus *mmio;
	struct bus *pio; // NULL where the architecture has no ports
	struct vcpu_host host;
	pthread_mutex_t lock; // guards the rest and vcpu.parked, vcpu.left
	pthread_cond_t changed;
	bool paused;
	bool stopping;
};

// -- main thread --

// Makes @count vCPUs, not yet running; then vcpu_set_start() starts their threads,
// paused until vcpu_set_resume().
int vcpu_set_init(struct vcpu_set *set, struct accel *accel, unsigned count, struct bus *mmio,
		  struct bus *pio, struct vcpu_host host) MUST_CHECK;
int vcpu_set_start(struct vcpu_set *set) MUST_CHECK;
// Has the vCPUs run on these CPUs of the host's only, as far as there are such. After
// vcpu_set_start(). 0, or -errno without a message: -EINVAL when there is none of them.
int vcpu_set_pin(struct vcpu_set *set, const cpu_set_t *cpus) MUST_CHECK;
// Returns when no vCPU executes guest code or a device register handler.
void vcpu_set_pause(struct vcpu_set *set);
void vcpu_set_resume(struct vcpu_set *set);
// Stops and joins the threads; vcpu_set_exit() also frees the vCPUs.
void vcpu_set_stop(struct vcpu_set *set);
void vcpu_set_exit(struct vcpu_set *set);

// -- any thread --

// The vCPU whose access the calling thread is just dispatching, for registers that
// are banked by CPU; NULL outside vcpu_mmio() and vcpu_pio().
struct vcpu *vcpu_accessing(void);

// -- own thread only, from inside run() --

// A load from or store to something that is not RAM; as bus_read() and bus_write().
int vcpu_mmio(struct vcpu *vcpu, uint64_t gpa, void *data, unsigned len, bool is_write);
int vcpu_pio(struct vcpu *vcpu, uint16_t port, void *data, unsigned len, bool is_write);
enum vcpu_exit vcpu_guest_call(struct vcpu *vcpu, struct guest_call *call);

#endif
