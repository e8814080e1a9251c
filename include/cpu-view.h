// SPDX-License-Identifier: GPL-2.0-or-later
// A vCPU that stands still, as a debugger sees it: where it is, and how it reaches memory.
//
// An accelerator fills in the registers, the architecture tells how page tables and
// stacks are read, and cpu_trace() walks the stack. All of it is the guest's: every walk
// ends, and touches nothing but guest RAM. Main thread, vCPUs stopped.
#ifndef KVIK_CPU_VIEW_H
#define KVIK_CPU_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct cpu_view;
struct memory;

// Where a virtual address leads.
struct cpu_page {
	uint64_t gpa;
	bool executable; // by the guest's kernel
};

struct cpu_view_ops {
	// Walks the page tables. False: nothing is mapped there.
	bool (*translate)(const struct cpu_view *view, uint64_t va, struct cpu_page *page);
	// Linux keeps frame pointers; else the stack is searched for return addresses.
	bool keeps_frames;
	// From a frame pointer to the frame pointer of the caller, above which lies the
	// return address.
	int64_t link_offset;
	uint64_t stack_bytes; // to which the kernel's stacks are aligned
};

struct cpu_view {
	const struct cpu_view_ops *ops;
	const struct memory *memory;
	uint64_t pc, sp, frame;
	uint64_t link; // the register with the return address; 0: there is none
	// Where exceptions (riscv64, arm64) or system calls (x86-64) enter the guest's
	// kernel; 0: not known. It tells where the kernel is, if it moved itself.
	uint64_t entry;
	bool in_kernel;
	uint64_t signature; // the bits of a return address that may hold one
	union {
		struct {
			uint64_t satp;
		} riscv;
		struct {
			uint64_t ttbr[2], tcr, sctlr;
		} arm;
		struct {
			uint64_t cr0, cr3, cr4, efer;
		} x86;
	};
};

// Whether the bits of an address of @bits bits go on above them.
static inline bool cpu_view_is_canonical(uint64_t va, unsigned bits)
{
	return (uint64_t)((int64_t)(va << (64 - bits)) >> (64 - bits)) == va;
}

// Reads the 8 bytes of RAM at @gpa. False: they are not all RAM, or not aligned.
bool cpu_view_read_gpa(const struct cpu_view *view, uint64_t gpa, uint64_t *value);
// The same by virtual address.
bool cpu_view_read(const struct cpu_view *view, uint64_t va, uint64_t *value);

enum trace_source {
	TRACE_PC,
	TRACE_LINK,  // the link register: the caller, if nothing was called since
	TRACE_FRAME, // a frame's return address
	TRACE_STACK, // a word of the stack that may be one
	TRACE_SOURCE_COUNT
};
const char *trace_source_name(enum trace_source source); // "pc"

struct trace_entry {
	uint64_t address;
	enum trace_source source;
};

#define TRACE_MAX 64

// From the innermost function outwards; returns how many. In user mode only the pc is told.
unsigned cpu_trace(const struct cpu_view *view, struct trace_entry entries[TRACE_MAX]);

#endif
