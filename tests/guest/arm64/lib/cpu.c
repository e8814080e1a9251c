// SPDX-License-Identifier: GPL-2.0-or-later
// CPUs: start, calls from one to another, interrupts, faults.
#include "guest.h"
#include "layout.h"

#define PSCI_CPU_OFF 0x84000002UL
#define PSCI_CPU_ON 0xc4000003UL
#define PSCI_ALREADY_ON (-4L)
#define PSCI_ON_PENDING (-5L)
#define STACK_BYTES 8192
#define DAIF_IRQ_FIQ 3 // immediate of daifset and daifclr
#define SYNC_AT_EL1 4  // numbers of the vectors
#define IRQ_AT_EL1 5
#define FIQ_AT_EL1 6
#define INSTRUCTION_ABORT 0x21 // ESR_EL1.EC, without a change of level

struct frame {
	uint64_t x[19], x29, x30, elr, spsr;
};

_Static_assert(offsetof(struct cpu, stack) == CPU_STACK, "start.S");
_Static_assert(offsetof(struct frame, elr) == FRAME_ELR, "start.S");
_Static_assert(offsetof(struct frame, spsr) == FRAME_SPSR, "start.S");

extern const uint8_t *device_tree;
extern char secondary_start[];

static struct cpu cpus[MAX_CPUS];
static uint8_t stacks[MAX_CPUS][STACK_BYTES] __attribute__((aligned(16)));

void boot_main(const uint8_t *tree);
void secondary_main(struct cpu *cpu);
void trap(unsigned vector, struct frame *frame);

static void init_cpu(unsigned index)
{
	cpus[index].stack = (uint64_t)&stacks[index][STACK_BYTES];
	cpus[index].index = index;
}

void boot_main(const uint8_t *tree)
{
	device_tree = tree;
	init_cpu(0);
	sysreg_write("tpidr_el1", (uint64_t)&cpus[0]);
	put("\n=== begin ===\n");
	main();
	power_off();
}

static int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a;
	register uint64_t x2 __asm__("x2") = b;
	register uint64_t x3 __asm__("x3") = c;

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
	return (int64_t)x0;
}

void secondary_main(struct cpu *cpu)
{
	sysreg_write("tpidr_el1", (uint64_t)cpu);
	cpu->call(cpu->argument);
	__atomic_store_n(&cpu->call, NULL, __ATOMIC_RELEASE);
	__asm__ volatile("dsb sy\nsev" : : : "memory");
	psci(PSCI_CPU_OFF, 0, 0, 0);
	fatal("CPU_OFF");
}

// It may still be on its way out of the last call.
static void start_cpu(struct cpu *cpu)
{
	int64_t result;

	do {
		result = psci(PSCI_CPU_ON, cpu->index, (uint64_t)secondary_start, (uint64_t)cpu);
	} while (result == PSCI_ALREADY_ON || result == PSCI_ON_PENDING);
	if (result)
		fatal("CPU_ON");
}

void on_cpu(unsigned index, void (*call)(uint64_t argument), uint64_t argument)
{
	struct cpu *cpu = &cpus[index];

	if (!index) {
		call(argument);
		return;
	}
	init_cpu(index);
	cpu->argument = argument;
	__atomic_store_n(&cpu->call, call, __ATOMIC_RELEASE);
	start_cpu(cpu);
	while (__atomic_load_n(&cpu->call, __ATOMIC_ACQUIRE))
		__asm__ volatile("wfe" : : : "memory");
}

void open_interrupts(void)
{
	__asm__ volatile("msr daifclr, %0\nisb\nnop\nmsr daifset, %0\nisb" : : "i"(DAIF_IRQ_FIQ)
			 : "memory");
}

const char *inputs(void)
{
	__asm__ volatile("dsb sy\nisb" : : : "memory");
	switch (sysreg_read("isr_el1") >> 6 & 3) {
	case 0: return "none";
	case 1: return "fiq";
	case 2: return "irq";
	default: return "both";
	}
}

void catch_faults(void)
{
	this_cpu()->faults = 0;
	this_cpu()->catching = true;
}

unsigned catch_end(void)
{
	this_cpu()->catching = false;
	return this_cpu()->faults;
}

void trap(unsigned vector, struct frame *frame)
{
	struct cpu *cpu = this_cpu();

	if (vector == SYNC_AT_EL1 && cpu->catching) {
		bool fetch = sysreg_read("esr_el1") >> 26 == INSTRUCTION_ABORT;

		cpu->faults++;
		frame->elr = fetch ? frame->x30 : frame->elr + 4;
	} else if ((vector == IRQ_AT_EL1 || vector == FIQ_AT_EL1) && cpu->on_interrupt) {
		cpu->on_interrupt(vector == FIQ_AT_EL1);
	} else {
		print("vector %d, ESR %x, ELR %x, FAR %x\n", (uint64_t)vector,
		      sysreg_read("esr_el1"), frame->elr, sysreg_read("far_el1"));
		fatal("exception");
	}
}

void delay_ms(unsigned ms)
{
	uint64_t ticks = sysreg_read("cntfrq_el0") / 1000 * ms;
	uint64_t start = sysreg_read("cntvct_el0");

	while (sysreg_read("cntvct_el0") - start < ticks)
		;
}

void *memset(void *to, int byte, size_t n);
void *memset(void *to, int byte, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = (unsigned char)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t n);
void *memcpy(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}
