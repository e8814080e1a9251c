// SPDX-License-Identifier: GPL-2.0-or-later
// What of the program stays in memory after the start.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util.h"

#include <cmocka.h>

#include "pages.h"

#define PAGE_BYTES 4096
#define PAGES 256

// In a segment that is never written, and nobody else's.
static const uint8_t table[(PAGES + 1) * PAGE_BYTES] = { 1, [PAGES * PAGE_BYTES] = 1 };

static const volatile uint8_t *table_page(unsigned i)
{
	return (const volatile uint8_t *)(((uintptr_t)table + PAGE_BYTES - 1) &
					  ~(uintptr_t)(PAGE_BYTES - 1)) +
	       (size_t)i * PAGE_BYTES;
}

static unsigned touch(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < PAGES; i++)
		sum += *table_page(i);
	return sum;
}

static unsigned count_resident(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entries[PAGES];
	unsigned count = 0;

	assert_int_equal(pread(fd, entries, sizeof(entries),
			       (off_t)((uintptr_t)table_page(0) / PAGE_BYTES * sizeof(*entries))),
			 sizeof(entries));
	close(fd);
	for (unsigned i = 0; i < PAGES; i++)
		count += entries[i] >> 63;
	return count;
}

// Those around code that runs may be mapped along with it.
static void test_untouched_pages_go(void **state)
{
	unsigned sum = touch();

	assert_int_equal(count_resident(), PAGES);
	pages_forget_start();
	assert_in_range(count_resident(), 0, PAGES / 4);
	assert_int_equal(touch(), sum);
	assert_int_equal(count_resident(), PAGES);
}

// As a debugger's breakpoint.
static void test_changed_page_stays(void **state)
{
	uint8_t *page = (uint8_t *)(uintptr_t)table_page(PAGES / 2);

	assert_int_equal(mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE), 0);
	page[7] = 0xcc;
	assert_int_equal(mprotect(page, PAGE_BYTES, PROT_READ), 0);
	pages_forget_start();
	assert_int_equal(page[7], 0xcc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untouched_pages_go),
		cmocka_unit_test(test_changed_page_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
