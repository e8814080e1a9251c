// SPDX-License-Identifier: GPL-2.0-or-later
// The runtime of the bare S-mode test programs.
//
// A program is a main() that prints what it observes. It runs unchanged on kvik
// and on other machines with an SBI, and what it prints must not depend on
// where: no times, hart ids or counts of interrupts.
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE 4096UL
#define MAX_HARTS 8

// A hart's registers at a trap. x[0] is unused.
struct frame {
	uint64_t x[32];
	uint64_t sepc, scause, stval, sstatus;
};

// What a hart keeps of the last trap that it caught.
struct trap {
	uint64_t scause, sepc, stval, sstatus;
};

struct hart {
	struct frame frame; // offset 0: start.S
	uint64_t context[14];
	uint64_t inside; // runs the frame, not the program
	uint64_t trap_stack, stack;
	void (*main)(void);
	uint64_t vector; // the last entry of vector_table that was taken
	uint64_t scratch;
	uint64_t id; // the SBI's
	bool catching;
	bool in_trap;
	unsigned traps; // since catch_traps()
	struct trap trap;
	void (*work)(unsigned index);
	unsigned index;
};

extern struct hart harts[MAX_HARTS];

static inline struct hart *this_hart(void)
{
	struct hart *hart;

	__asm__ volatile("mv %0, tp" : "=r"(hart));
	return hart;
}

int main(void);

// --- print.c ---

void put_char(char c);
void put(const char *text);
void put_hex(uint64_t value);
void put_dec(uint64_t value);
// A format of %s, %x (uint64_t) and %d (uint64_t, decimal) only.
void print(const char *format, ...);
// Ends the machine.
void power_off(void) __attribute__((noreturn));
void fatal(const char *text) __attribute__((noreturn));

// Results too many to print go into a hash, one line a group: its name, the number
// of results and the hash. a, b and c only describe a result.
void group(const char *name);
void record(uint64_t value, uint64_t a, uint64_t b, uint64_t c);
void group_end(void);

// xorshift64*: the same everywhere.
uint64_t random_next(uint64_t *state);

// --- trap.c ---

// From here on the calling hart records a trap and goes on after the instruction
// (after a fault of a fetch: at ra), until catch_end(). An interrupt leaves sstatus.SIE
// off.
void catch_traps(void);
// Ends it and returns the number of traps.
unsigned catch_end(void);
// Prints "label: cause C stval V sstatus ..." of the last trap, or "no trap".
void show_trap(const char *label);

void enter_frame(void);
// Runs @pc in U mode (or S with @sstatus.SPP) on this hart's frame until the next
// trap, which is left in the frame. Registers of the frame are kept.
void run_at(uint64_t pc, uint64_t sstatus);

void trap_entry(void);
void vector_table(void);
void fp_load(const uint64_t f[32]);
void fp_save(uint64_t f[32]);

enum cause {
	CAUSE_FETCH_MISALIGNED = 0,
	CAUSE_FETCH_ACCESS = 1,
	CAUSE_ILLEGAL = 2,
	CAUSE_BREAKPOINT = 3,
	CAUSE_LOAD_MISALIGNED = 4,
	CAUSE_LOAD_ACCESS = 5,
	CAUSE_STORE_MISALIGNED = 6,
	CAUSE_STORE_ACCESS = 7,
	CAUSE_ECALL_U = 8,
	CAUSE_ECALL_S = 9,
	CAUSE_FETCH_PAGE = 12,
	CAUSE_LOAD_PAGE = 13,
	CAUSE_STORE_PAGE = 15,
};

#define CAUSE_INTERRUPT (1ULL << 63)
#define IRQ_SOFT 1
#define IRQ_TIMER 5
#define IRQ_EXTERNAL 9

#define SSTATUS_SIE (1UL << 1)
#define SSTATUS_SPIE (1UL << 5)
#define SSTATUS_SPP (1UL << 8)
#define SSTATUS_FS (3UL << 13)
#define SSTATUS_FS_INITIAL (1UL << 13)
#define SSTATUS_FS_CLEAN (2UL << 13)
#define SSTATUS_SUM (1UL << 18)
#define SSTATUS_MXR (1UL << 19)
#define SSTATUS_SD (1UL << 63)

#define csr_read(csr)                                              \
	({                                                         \
		uint64_t csr_value_;                               \
		__asm__ volatile("csrr %0, " csr : "=r"(csr_value_) :: "memory"); \
		csr_value_;                                        \
	})
#define csr_write(csr, value) \
	__asm__ volatile("csrw " csr ", %0" :: "r"((uint64_t)(value)) : "memory")
#define csr_set(csr, value) \
	__asm__ volatile("csrs " csr ", %0" :: "r"((uint64_t)(value)) : "memory")
#define csr_clear(csr, value) \
	__asm__ volatile("csrc " csr ", %0" :: "r"((uint64_t)(value)) : "memory")
// Zihintpause; a fence where it is not known.
#define pause_hart() __asm__ volatile(".word 0x0100000f" ::: "memory")
#define fence_i() __asm__ volatile("fence.i" ::: "memory")
#define sfence_vma() __asm__ volatile("sfence.vma" ::: "memory")
#define sfence_vma_at(va) __asm__ volatile("sfence.vma %0" :: "r"(va) : "memory")

// --- sbi.c ---

struct sbi_result {
	int64_t error;
	uint64_t value;
};

struct sbi_result sbi_call(uint64_t ext, uint64_t fid, uint64_t a0, uint64_t a1, uint64_t a2,
			   uint64_t a3, uint64_t a4);
void sbi_set_timer(uint64_t deadline);
void sbi_send_ipi(uint64_t mask, uint64_t base);

#define SBI_TIME 0x54494d45
#define SBI_IPI 0x735049
#define SBI_RFENCE 0x52464e43
#define SBI_HSM 0x48534d
#define SBI_SRST 0x53525354

// --- hart.c ---

// Starts @n - 1 more harts; each calls @work(its index from 1) and this one
// @work(0). Returns when all have.
void run_harts(unsigned n, void (*work)(unsigned index));
// Every one of @n harts has arrived when it returns.
void barrier_wait(unsigned n);
// The hart mask bit of a hart for SBI calls with base 0.
uint64_t hart_mask(unsigned index);

// --- page.c ---

#define PTE_V 0x001UL
#define PTE_R 0x002UL
#define PTE_W 0x004UL
#define PTE_X 0x008UL
#define PTE_U 0x010UL
#define PTE_G 0x020UL
#define PTE_A 0x040UL
#define PTE_D 0x080UL
#define PTE_RWX (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)
#define PTE_RW (PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)

typedef uint64_t pte_t;

// A zeroed page that lives as long as the program.
void *page_alloc(void);
// A root table with the gigabyte of RAM at 0x80000000 mapped for S mode.
pte_t *page_root(void);
// Maps the page at @va of @level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB) to @pa; returns its
// entry.
pte_t *page_map(pte_t *root, uint64_t va, uint64_t pa, unsigned level, uint64_t flags);
// Writes satp (for @root, or Bare for NULL) and flushes everything.
void page_use(const pte_t *root);
// The value of satp for @root.
uint64_t page_satp(const pte_t *root, uint64_t asid);

static inline pte_t pte_make(uint64_t pa, uint64_t flags)
{
	return pa >> 12 << 10 | flags;
}


void *memset(void *to, int byte, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#endif
