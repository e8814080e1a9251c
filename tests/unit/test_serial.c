// SPDX-License-Identifier: GPL-2.0-or-later
// The serial port: registers, FIFOs, interrupts, loopback, a slow or absent reader.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bus-access.h"
#include "device.h"
#include "hw.h"
#include "term.h"

#include <cmocka.h>

#define BASE 0x10000000ULL

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define THR RBR
#define FCR IIR
#define DLL RBR
#define DLM IER
#define FIFO 0xc0 // in IIR
#define MCR_RTS 0x02

// -- a terminal of our own --

struct term {
	struct term_frontend frontend;
	char output[256];
	size_t output_len;
	size_t room;
	unsigned input_asked; // how often term_input_ready() was called
};

void term_connect(struct term *term, const struct term_frontend *frontend)
{
	term->frontend = *frontend;
}

size_t term_write(struct term *term, const uint8_t *data, size_t len)
{
	len = MIN(len, term->room);
	assert_true(term->output_len + len < sizeof(term->output));
	memcpy(term->output + term->output_len, data, len);
	term->output_len += len;
	term->room -= len;
	return len;
}

void term_input_ready(struct term *term)
{
	term->input_asked++;
}

struct fixture {
	struct bus bus;
	struct irqchip chip;
	bool irq;
	struct term term;
	struct device *dev;
};

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
	assert_int_equal(number, 4);
	container_of(chip, struct fixture, chip)->irq = high;
}

static const struct irqchip_ops chip_ops = { .set_line = set_line };

static struct fixture *make(bool with_term)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->chip.ops = &chip_ops;
	f->term.room = SIZE_MAX;
	bus_init(&f->bus);
	assert_int_equal(serial_create(&f->dev, BASE, (struct irq_line){ &f->chip, 4 },
				       with_term ? &f->term : NULL),
			 0);
	assert_int_equal(bus_add(&f->bus, &f->dev->region), 0);
	return f;
}

static int setup(void **state)
{
	*state = make(true);
	return 0;
}

static int setup_unplugged(void **state)
{
	*state = make(false);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->dev->ops->free(f->dev);
	bus_exit(&f->bus);
	free(f);
	return 0;
}

static uint8_t get(struct fixture *f, unsigned reg)
{
	return bus_get(&f->bus, BASE + reg, 1);
}

static void put(struct fixture *f, unsigned reg, uint8_t value)
{
	bus_put(&f->bus, BASE + reg, 1, value);
}

static void put_text(struct fixture *f, const char *text)
{
	for (; *text; text++)
		put(f, THR, *text);
}

static size_t offer(struct fixture *f, const char *text)
{
	return f->term.frontend.input(f->term.frontend.opaque, (const uint8_t *)text, strlen(text));
}

// To a guest that has raised RTS.
static size_t type(struct fixture *f, const char *text)
{
	put(f, MCR, get(f, MCR) | MCR_RTS);
	return offer(f, text);
}

static void make_room(struct fixture *f, size_t room)
{
	f->term.room = room;
	f->term.frontend.output_ready(f->term.frontend.opaque);
}

static void assert_output(struct fixture *f, const char *text)
{
	assert_int_equal(f->term.output_len, strlen(text));
	assert_memory_equal(f->term.output, text, strlen(text));
}

static void test_state_after_reset(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(get(f, IER), 0);
		assert_int_equal(get(f, IIR), 1);
		assert_int_equal(get(f, LCR), 0);
		assert_int_equal(get(f, MCR), 0);
		assert_int_equal(get(f, LSR), 0x60);
		assert_int_equal(get(f, MSR), 0xb0);
		assert_int_equal(get(f, RBR), 0);
		assert_false(f->irq);
		// Then again, after it has been used.
		put(f, FCR, 0xc1);
		put(f, IER, 0xf);
		put(f, LCR, 3);
		put(f, MCR, 0x1f);
		put(f, THR, 'x');
		assert_true(f->irq);
		f->dev->ops->reset(f->dev);
	}
}

static void test_registers_keep_their_bits(void **state)
{
	struct fixture *f = *state;

	put(f, IER, 0xff);
	assert_int_equal(get(f, IER), 0x0f);
	put(f, MCR, 0xef);
	assert_int_equal(get(f, MCR), 0x0f);
	put(f, SCR, 0xa5);
	assert_int_equal(get(f, SCR), 0xa5);
	put(f, LCR, 0x7f);
	assert_int_equal(get(f, LCR), 0x7f);
	put(f, LSR, 0);
	assert_int_equal(get(f, LSR), 0x60);
	put(f, MSR, 0);
	assert_int_equal(get(f, MSR) & 0xf0, 0xb0);
}

static void test_divisor_hides_data_and_interrupt_enable(void **state)
{
	struct fixture *f = *state;

	put(f, IER, 5);
	type(f, "a");
	put(f, LCR, 0x83);
	put(f, DLL, 0x34);
	put(f, DLM, 0x12);
	assert_int_equal(get(f, DLL), 0x34);
	assert_int_equal(get(f, DLM), 0x12);
	put(f, LCR, 3);
	assert_int_equal(get(f, IER), 5);
	assert_int_equal(get(f, RBR), 'a');
	assert_output(f, "");
}

static void test_other_accesses_do_nothing(void **state)
{
	struct fixture *f = *state;

	type(f, "a");
	for (unsigned size = 2; size <= 8; size *= 2) {
		bus_put(&f->bus, BASE, size, 0x4141414141414141);
		assert_int_equal(bus_get(&f->bus, BASE, size), 0);
	}
	for (unsigned reg = 8; reg < SERIAL_SIZE; reg++) {
		put(f, reg, 0xff);
		assert_int_equal(get(f, reg), 0);
	}
	assert_output(f, "");
	assert_int_equal(get(f, LSR), 0x61);
	assert_int_equal(get(f, RBR), 'a');
}

static void test_output(void **state)
{
	struct fixture *f = *state;

	put_text(f, "hello\n");
	assert_output(f, "hello\n");
	assert_int_equal(get(f, LSR), 0x60);
}

static void test_input_without_fifo(void **state)
{
	struct fixture *f = *state;

	put(f, IER, 1);
	assert_int_equal(type(f, "ab"), 1);
	assert_true(f->irq);
	assert_int_equal(get(f, IIR), 0x04);
	assert_int_equal(get(f, LSR), 0x61);
	assert_int_equal(type(f, "b"), 0);
	assert_int_equal(f->term.input_asked, 0);
	assert_int_equal(get(f, RBR), 'a');
	assert_false(f->irq);
	// The terminal is asked once for what it could not deliver.
	assert_int_equal(f->term.input_asked, 1);
	assert_int_equal(get(f, RBR), 0);
	assert_int_equal(f->term.input_asked, 1);
	assert_int_equal(type(f, "b"), 1);
	assert_int_equal(get(f, RBR), 'b');
	assert_int_equal(f->term.input_asked, 1);
}

// What came before the driver is ready must not fall to its clearing of the FIFO.
// The break comes as a zero, in its place among the characters.
static void test_sysrq(void **state)
{
	struct fixture *f = *state;
	const struct term_frontend *frontend = &f->term.frontend;

	assert_false(frontend->sysrq(frontend->opaque, 'h')); // nobody listens
	put(f, FCR, 1);
	put(f, MCR, MCR_RTS);
	assert_int_equal(frontend->input(frontend->opaque, (const uint8_t *)"a", 1), 1);
	assert_true(frontend->sysrq(frontend->opaque, 'h'));
	assert_false(frontend->sysrq(frontend->opaque, 'h')); // one at a time
	assert_int_equal(get(f, LSR) & 0x11, 0x01);
	assert_int_equal(get(f, RBR), 'a');
	assert_int_equal(get(f, LSR) & 0x11, 0x11);
	assert_int_equal(get(f, RBR), 0);
	assert_int_equal(get(f, LSR) & 0x11, 0x01);
	assert_int_equal(get(f, RBR), 'h');
	assert_int_equal(get(f, LSR) & 0x11, 0);
	assert_true(frontend->sysrq(frontend->opaque, 'h'));
}

static void test_input_waits_for_a_driver(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(offer(f, "ab"), 0);
	get(f, LSR);
	get(f, RBR);
	put_text(f, "x");
	put(f, IER, 0x01);
	assert_int_equal(f->term.input_asked, 0);
	put(f, FCR, 0x07);
	assert_int_equal(f->term.input_asked, 1);
	assert_int_equal(offer(f, "ab"), 2);
	assert_int_equal(get(f, RBR), 'a');
	assert_int_equal(get(f, RBR), 'b');
	put(f, IER, 0x00);
	assert_int_equal(offer(f, "c"), 0);
	put(f, MCR, MCR_RTS);
	assert_int_equal(f->term.input_asked, 2);
	assert_int_equal(offer(f, "c"), 1);
	f->dev->ops->reset(f->dev);
	assert_int_equal(offer(f, "d"), 0);
}

// A guest that only ever reads LSR gets input as well.
static void test_input_for_a_guest_that_polls(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(offer(f, "a"), 0);
	for (unsigned i = 0; i < 100; i++) { // waits for the transmitter: no polling
		get(f, LSR);
		put_text(f, "x");
	}
	assert_int_equal(f->term.input_asked, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(get(f, LSR) & 1, 0);
	assert_int_equal(f->term.input_asked, 1);
	assert_int_equal(offer(f, "a"), 1);
	assert_int_equal(get(f, LSR) & 1, 1);
	assert_int_equal(get(f, RBR), 'a');
}

static void test_receive_fifo_and_trigger_levels(void **state)
{
	struct fixture *f = *state;
	const unsigned levels[] = { 1, 4, 8, 14 };

	put(f, IER, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		put(f, FCR, 0x01 | i << 6);
		// Below the level bytes are reported by timeout.
		for (unsigned count = 1; count <= 16; count++) {
			assert_int_equal(type(f, "x"), 1);
			assert_true(f->irq);
			assert_int_equal(get(f, IIR), FIFO | (count < levels[i] ? 0x0c : 0x04));
		}
		assert_int_equal(type(f, "y"), 0);
		for (unsigned count = 16; count; count--) {
			assert_int_equal(get(f, IIR), FIFO | (count < levels[i] ? 0x0c : 0x04));
			assert_int_equal(get(f, RBR), 'x');
		}
		assert_false(f->irq);
		assert_int_equal(get(f, IIR), FIFO | 0x01);
		assert_int_equal(get(f, LSR), 0x60);
	}
}

static void test_fifo_control(void **state)
{
	struct fixture *f = *state;

	put(f, FCR, 0xc0); // without bit 0 the others do not count
	assert_int_equal(get(f, IIR), 0x01);
	put(f, FCR, 0x01);
	assert_int_equal(get(f, IIR), FIFO | 0x01);
	assert_int_equal(type(f, "abcdefghijklmnopqrst"), 16);
	put(f, FCR, 0x03); // clear the receiver
	assert_int_equal(get(f, LSR), 0x60);
	assert_int_equal(f->term.input_asked, 1);
	assert_int_equal(type(f, "qrst"), 4);
	put(f, FCR, 0x05); // only the transmitter
	assert_int_equal(get(f, RBR), 'q');
	put(f, FCR, 0x00); // switching off empties it
	assert_int_equal(get(f, IIR), 0x01);
	assert_int_equal(get(f, LSR), 0x60);
	assert_int_equal(type(f, "uv"), 1);
}

static void test_transmit_interrupt(void **state)
{
	struct fixture *f = *state;

	put(f, IER, 2); // enabled while empty: at once
	assert_true(f->irq);
	assert_int_equal(get(f, IIR), 0x02); // reading it clears it
	assert_false(f->irq);
	assert_int_equal(get(f, IIR), 0x01);
	put(f, THR, 'a');
	assert_true(f->irq);
	put(f, IER, 0);
	assert_false(f->irq);
	assert_int_equal(get(f, IIR), 0x01);
	put(f, IER, 2);
	assert_int_equal(get(f, IIR), 0x02);
	put(f, IER, 2); // still enabled: no new one
	assert_int_equal(get(f, IIR), 0x01);
	// Reading another register does not clear it.
	put(f, THR, 'b');
	get(f, LSR);
	get(f, MSR);
	assert_int_equal(get(f, IIR), 0x02);
}

static void test_interrupt_priorities(void **state)
{
	struct fixture *f = *state;

	put(f, IER, 0x0f);
	put(f, MCR, 0x10); // loopback: all modem lines fall
	put(f, THR, 'a');
	put(f, THR, 'b'); // overrun
	assert_int_equal(get(f, IIR), 0x06);
	assert_int_equal(get(f, LSR), 0x63);
	assert_int_equal(get(f, IIR), 0x04);
	get(f, RBR);
	assert_int_equal(get(f, IIR), 0x02);
	assert_int_equal(get(f, IIR), 0x00);
	assert_true(f->irq);
	assert_int_equal(get(f, MSR), 0x0b);
	assert_int_equal(get(f, IIR), 0x01);
	assert_false(f->irq);
}

static void test_each_interrupt_needs_its_enable(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint8_t ier;
		uint8_t id;
	} kinds[] = { { 4, 6 }, { 1, 4 }, { 2, 2 }, { 8, 0 } };

	put(f, MCR, 0x10);
	put(f, THR, 'a');
	put(f, THR, 'b');
	assert_false(f->irq);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		put(f, IER, kinds[i].ier);
		assert_true(f->irq);
		assert_int_equal(get(f, IIR), kinds[i].id);
	}
}

static void test_loopback_data(void **state)
{
	struct fixture *f = *state;

	put(f, FCR, 0x01);
	put(f, MCR, 0x10);
	put_text(f, "0123456789abcdef");
	assert_int_equal(get(f, LSR), 0x61);
	put(f, THR, 'X'); // lost: the FIFO keeps what it has
	assert_int_equal(get(f, LSR), 0x63);
	assert_int_equal(get(f, LSR), 0x61); // reading clears the error
	for (const char *c = "0123456789abcdef"; *c; c++)
		assert_int_equal(get(f, RBR), *c);
	assert_int_equal(get(f, LSR), 0x60);
	assert_output(f, "");
}

static void test_loopback_overrun_without_fifo(void **state)
{
	struct fixture *f = *state;

	put(f, MCR, 0x10);
	put_text(f, "ab");
	assert_int_equal(get(f, LSR), 0x63);
	assert_int_equal(get(f, RBR), 'b'); // the newer one has overwritten it
}

static void test_loopback_cuts_off_the_line(void **state)
{
	struct fixture *f = *state;

	put(f, MCR, 0x10);
	assert_int_equal(type(f, "a"), 0);
	assert_int_equal(get(f, LSR), 0x60);
	put(f, THR, 'z');
	assert_int_equal(get(f, RBR), 'z');
	assert_int_equal(f->term.input_asked, 0);
	put(f, MCR, MCR_RTS);
	assert_int_equal(f->term.input_asked, 1);
	assert_int_equal(type(f, "a"), 1);
}

static void test_loopback_modem_lines(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint8_t mcr;
		uint8_t msr;
	} lines[] = { { 0x01, 0x20 }, { 0x02, 0x10 }, { 0x04, 0x40 }, { 0x08, 0x80 } };

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		put(f, MCR, 0x10 | lines[i].mcr);
		assert_int_equal(get(f, MSR) & 0xf0, lines[i].msr);
	}
	// What Linux tries to find out whether there is a port.
	put(f, MCR, 0x1a);
	assert_int_equal(get(f, MSR) & 0xf0, 0x90);
	put(f, MCR, 0x0b);
	assert_int_equal(get(f, MSR) & 0xf0, 0xb0);
}

static void test_modem_deltas(void **state)
{
	struct fixture *f = *state;

	put(f, IER, 8);
	assert_false(f->irq);
	put(f, MCR, 0x1b); // CTS, DSR and DCD stay as they were
	assert_false(f->irq);
	assert_int_equal(get(f, MSR), 0xb0);
	put(f, MCR, 0x19);
	assert_true(f->irq);
	assert_int_equal(get(f, MSR), 0xa1); // CTS fell
	assert_int_equal(get(f, MSR), 0xa0); // reading cleared the delta
	assert_false(f->irq);
	put(f, MCR, 0x1d);
	assert_int_equal(get(f, MSR), 0xe0); // RI rising does not count
	put(f, MCR, 0x19);
	assert_int_equal(get(f, MSR), 0xa4); // falling does
	put(f, MCR, 0x18);
	put(f, MCR, 0x10);
	assert_int_equal(get(f, MSR), 0x0a); // deltas add up
}

static void test_slow_reader_loses_nothing(void **state)
{
	struct fixture *f = *state;

	put(f, FCR, 0x01);
	put(f, IER, 2);
	get(f, IIR);
	f->term.room = 3;
	put_text(f, "0123456789"); // as a driver does after THRE: up to 16 bytes
	assert_output(f, "012");
	assert_int_equal(get(f, LSR), 0x00);
	assert_false(f->irq);
	make_room(f, 4);
	assert_output(f, "0123456");
	assert_int_equal(get(f, LSR), 0x00);
	assert_false(f->irq);
	make_room(f, 100);
	assert_output(f, "0123456789");
	assert_int_equal(get(f, LSR), 0x60);
	assert_true(f->irq);
	assert_int_equal(get(f, IIR), FIFO | 0x02);
}

static void test_slow_reader_without_fifo(void **state)
{
	struct fixture *f = *state;

	f->term.room = 0;
	put(f, THR, 'a');
	assert_int_equal(get(f, LSR), 0x00);
	put(f, THR, 'b'); // a driver that does not look loses it
	make_room(f, 10);
	assert_output(f, "a");
	assert_int_equal(get(f, LSR), 0x60);
}

static void test_clearing_the_transmitter_drops_what_waits(void **state)
{
	struct fixture *f = *state;

	put(f, FCR, 0x01);
	f->term.room = 0;
	put_text(f, "abc");
	put(f, FCR, 0x05);
	assert_int_equal(get(f, LSR), 0x60);
	make_room(f, 10);
	assert_output(f, "");
}

static void test_full_fifo_wraps(void **state)
{
	struct fixture *f = *state;

	put(f, FCR, 0x01);
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(type(f, "0123456789abcdefgh"), 16);
		for (const char *c = "0123456789abcdef"; *c; c++) {
			assert_int_equal(get(f, RBR), *c);
			if (*c == '4') // refilled in the middle
				assert_int_equal(type(f, "....."), 5);
		}
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(get(f, RBR), '.');
	}
}

static void test_nothing_plugged_in(void **state)
{
	struct fixture *f = *state;

	put(f, FCR, 0x01);
	put(f, IER, 3);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(get(f, LSR), 0x60);
		put(f, THR, 'x');
		assert_int_equal(get(f, IIR), FIFO | 0x02);
	}
	put(f, MCR, 0x10);
	put(f, THR, 'y');
	assert_int_equal(get(f, RBR), 'y');
	put(f, FCR, 0);
	f->dev->ops->reset(f->dev);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_state_after_reset),
		TEST(test_registers_keep_their_bits),
		TEST(test_divisor_hides_data_and_interrupt_enable),
		TEST(test_other_accesses_do_nothing),
		TEST(test_output),
		TEST(test_input_without_fifo),
		TEST(test_sysrq),
		TEST(test_input_waits_for_a_driver),
		TEST(test_input_for_a_guest_that_polls),
		TEST(test_receive_fifo_and_trigger_levels),
		TEST(test_fifo_control),
		TEST(test_transmit_interrupt),
		TEST(test_interrupt_priorities),
		TEST(test_each_interrupt_needs_its_enable),
		TEST(test_loopback_data),
		TEST(test_loopback_overrun_without_fifo),
		TEST(test_loopback_cuts_off_the_line),
		TEST(test_loopback_modem_lines),
		TEST(test_modem_deltas),
		TEST(test_slow_reader_loses_nothing),
		TEST(test_slow_reader_without_fifo),
		TEST(test_clearing_the_transmitter_drops_what_waits),
		TEST(test_full_fifo_wraps),
		cmocka_unit_test_setup_teardown(test_nothing_plugged_in, setup_unplugged, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
