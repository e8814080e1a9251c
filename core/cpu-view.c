// SPDX-License-Identifier: GPL-2.0-or-later
// Walking the stack of a vCPU that stands still.
//
// A guest can have its frames lead anywhere, and in circles. The walk ends after TRACE_MAX
// entries, at what is not mapped, at an address that is not code, and when the frames have
// gone back to lower addresses more often than a kernel changes stacks.
#include "cpu-view.h"

#include <assert.h>

#include "memory.h"

#define STACK_CHANGES_MAX 4
#define WORD_BYTES 8U
#define KERNEL_HALF (1ULL << 63) // addresses of Linux's kernels have this bit

struct trace {
	const struct cpu_view *view;
	struct trace_entry *entries;
	unsigned count;
};

const char *trace_source_name(enum trace_source source)
{
	static const char *const names[] = { "pc", "link", "frame", "stack" };

	static_assert(ARRAY_SIZE(names) == TRACE_SOURCE_COUNT, "a name for each source");
	return names[source];
}

// -- memory --

bool cpu_view_read_gpa(const struct cpu_view *view, uint64_t gpa, uint64_t *value)
{
	const uint64_t *word = memory_ptr(view->memory, gpa, sizeof(*word));

	if (!word || gpa % sizeof(*word))
		return false;
	*value = __atomic_load_n(word, __ATOMIC_RELAXED);
	return true;
}

bool cpu_view_read(const struct cpu_view *view, uint64_t va, uint64_t *value)
{
	struct cpu_page page;

	return view->ops->translate(view, va, &page) && cpu_view_read_gpa(view, page.gpa, value);
}

static bool is_code(const struct cpu_view *view, uint64_t va)
{
	struct cpu_page page;

	return va && view->ops->translate(view, va, &page) && page.executable &&
	       memory_ptr(view->memory, page.gpa, 1);
}

// A return address without its signature (arm64's pointer authentication).
static uint64_t code_address(const struct cpu_view *view, uint64_t value)
{
	return (value & 1ULL << 55) ? value | view->signature : value;
}

// -- the walk --

static void add(struct trace *trace, uint64_t address, enum trace_source source)
{
	if (trace->count < TRACE_MAX)
		trace->entries[trace->count++] = (struct trace_entry){ address, source };
}

static bool read_frame(const struct cpu_view *view, uint64_t frame, uint64_t *caller,
		       uint64_t *address)
{
	uint64_t at = frame + (uint64_t)view->ops->link_offset;

	if (!cpu_view_read(view, at, caller) || !cpu_view_read(view, at + WORD_BYTES, address))
		return false;
	*address = code_address(view, *address);
	return is_code(view, *address);
}

static void walk_frames(struct trace *trace)
{
	const struct cpu_view *view = trace->view;
	uint64_t frame = view->frame, caller, address;
	unsigned stack_changes = 0;

	while (trace->count < TRACE_MAX && stack_changes <= STACK_CHANGES_MAX &&
	       read_frame(view, frame, &caller, &address)) {
		add(trace, address, TRACE_FRAME);
		stack_changes += caller <= frame;
		frame = caller;
	}
}

// Linux aligns its stacks to their size.
static void search_stack(struct trace *trace)
{
	const struct cpu_view *view = trace->view;
	uint64_t at = align_up(view->sp, WORD_BYTES), value;
	uint64_t bytes = align_up(at + 1, view->ops->stack_bytes) - at;

	for (uint64_t i = 0; i < bytes && cpu_view_read(view, at + i, &value); i += WORD_BYTES)
		if (value & KERNEL_HALF && is_code(view, code_address(view, value)))
			add(trace, code_address(view, value), TRACE_STACK);
}

// A function that has made its frame has its return address there as well.
static void add_link(struct trace *trace)
{
	const struct cpu_view *view = trace->view;
	uint64_t link = code_address(view, view->link), caller, address;

	if (view->ops->keeps_frames && read_frame(view, view->frame, &caller, &address) &&
	    address == link)
		return;
	if (is_code(view, link))
		add(trace, link, TRACE_LINK);
}

unsigned cpu_trace(const struct cpu_view *view, struct trace_entry entries[TRACE_MAX])
{
	struct trace trace = { .view = view, .entries = entries };
	unsigned begin;

	add(&trace, view->pc, TRACE_PC);
	if (!view->in_kernel)
		return trace.count;
	add_link(&trace);
	begin = trace.count;
	if (view->ops->keeps_frames)
		walk_frames(&trace);
	if (trace.count == begin)
		search_stack(&trace);
	return trace.count;
}
