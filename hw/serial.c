// SPDX-License-Identifier: GPL-2.0-or-later
// An 8250-compatible UART: National Semiconductor's PC16550D, 16-byte FIFOs.
//
// The line is infinitely fast, so nothing here depends on the divisor. A byte
// written goes to the terminal at once; what the terminal does not take waits in
// the transmit FIFO, and LSR.THRE stays low until output_ready() has emptied it: a
// slow reader holds the guest's driver back and loses nothing. The other way, input
// is taken only as far as the receive FIFO has room, so it never overruns; and only
// while somebody listens: a driver empties the FIFO when it starts, and what a pipe
// or a fast typist has sent by then would be lost.
//
// The device's lock guards the registers; the terminal calls in from the main loop.
#include <errno.h>
#include <stdlib.h>

#include "aml.h"
#include "device.h"
#include "fdt.h"
#include "hw.h"
#include "log.h"
#include "term.h"

// Registers (PC16550D data sheet, section 8).
enum {
	REG_DATA = 0, // RBR, THR; DLL with LCR.DLAB
	REG_IER = 1,  // DLM with LCR.DLAB
	REG_IIR = 2,  // FCR when written
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

enum {
	IER_RECEIVE = 0x01,
	IER_TRANSMIT = 0x02,
	IER_LINE = 0x04,
	IER_MODEM = 0x08,
	IER_MASK = 0x0f,
};

// Interrupt identification, by falling priority.
enum {
	IIR_LINE = 0x06,
	IIR_RECEIVE = 0x04,
	IIR_TIMEOUT = 0x0c,
	IIR_TRANSMIT = 0x02,
	IIR_MODEM = 0x00,
	IIR_NONE = 0x01,
	IIR_FIFO = 0xc0,
};

enum {
	FCR_ENABLE = 0x01,
	FCR_CLEAR_RECEIVE = 0x02,
	FCR_CLEAR_TRANSMIT = 0x04,
	FCR_TRIGGER_SHIFT = 6,
};

enum { LCR_DLAB = 0x80 };

enum {
	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_OUT1 = 0x04,
	MCR_OUT2 = 0x08,
	MCR_LOOP = 0x10,
	MCR_MASK = 0x1f,
};

enum {
	LSR_DATA_READY = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_BREAK = 0x10,
	LSR_THRE = 0x20,
	LSR_TEMT = 0x40,
};

enum {
	MSR_DELTA_CTS = 0x01,
	MSR_DELTA_DSR = 0x02,
	MSR_TRAILING_RI = 0x04,
	MSR_DELTA_DCD = 0x08,
	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
	MSR_LINES = 0xf0,
};

#define FIFO_BYTES 16

// So many looks at an empty receiver in a row, without any output, are polling.
#define POLLING_LOOKS 16

struct fifo {
	uint8_t data[FIFO_BYTES];
	unsigned first;
	unsigned count;
};

struct serial {
	struct device dev;
	struct term *term; // NULL: nothing is plugged in
	struct fifo receive;
	struct fifo transmit;
	uint8_t ier;
	uint8_t fcr;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t msr;
	uint8_t scr;
	uint8_t dll;
	uint8_t dlm;
	bool overrun;          // LSR.OE
	unsigned break_place;  // of a break in the receive FIFO, counted from 1; 0: none
	bool transmit_pending; // the THRE interrupt, until IIR is read or THR written
	bool input_refused;    // the terminal waits for term_input_ready()
	unsigned idle_looks;   // at LSR without data, since the last output
};

static struct serial *from_device(struct device *dev)
{
	return container_of(dev, struct serial, dev);
}

static void fifo_push(struct fifo *fifo, uint8_t byte)
{
	fifo->data[(fifo->first + fifo->count++) % FIFO_BYTES] = byte;
}

static uint8_t fifo_pop(struct fifo *fifo)
{
	uint8_t byte = fifo->data[fifo->first];

	fifo->first = (fifo->first + 1) % FIFO_BYTES;
	fifo->count--;
	return byte;
}

// Without FIFOs there is one register each way.
static unsigned fifo_room(const struct serial *serial, const struct fifo *fifo)
{
	return (serial->fcr & FCR_ENABLE ? FIFO_BYTES : 1) - fifo->count;
}

// -- interrupts --

static unsigned trigger_level(const struct serial *serial)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return serial->fcr & FCR_ENABLE ? levels[serial->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

static uint8_t interrupt_id(const struct serial *serial)
{
	if (serial->ier & IER_LINE && (serial->overrun || serial->break_place == 1))
		return IIR_LINE;
	if (serial->ier & IER_RECEIVE && serial->receive.count >= trigger_level(serial))
		return IIR_RECEIVE;
	// Bytes below the trigger level have always been there for four characters'
	// time: the line is that fast.
	if (serial->ier & IER_RECEIVE && serial->receive.count)
		return IIR_TIMEOUT;
	if (serial->ier & IER_TRANSMIT && serial->transmit_pending)
		return IIR_TRANSMIT;
	if (serial->ier & IER_MODEM && serial->msr & ~MSR_LINES)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct serial *serial)
{
	irq_set(&serial->dev.irq, interrupt_id(serial) != IIR_NONE);
}

// -- modem lines --

// The inputs: from the outputs in loopback, else a terminal that is always there.
static uint8_t modem_lines(const struct serial *serial)
{
	if (!(serial->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (serial->mcr & MCR_RTS ? MSR_CTS : 0) | (serial->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (serial->mcr & MCR_OUT1 ? MSR_RI : 0) | (serial->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void update_modem(struct serial *serial)
{
	uint8_t lines = modem_lines(serial);
	uint8_t changed = (serial->msr ^ lines) & MSR_LINES;
	uint8_t deltas = serial->msr & ~MSR_LINES;

	deltas |= (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4;
	// RI reports its falling edge only.
	if (changed & MSR_RI && !(lines & MSR_RI))
		deltas |= MSR_TRAILING_RI;
	serial->msr = lines | deltas;
}

// -- data --

// Bytes from the transmit FIFO go out while somebody takes them.
static void drain_transmit(struct serial *serial)
{
	while (serial->transmit.count) {
		uint8_t byte = serial->transmit.data[serial->transmit.first];

		if (serial->term && !term_write(serial->term, &byte, 1))
			return;
		fifo_pop(&serial->transmit);
	}
	serial->transmit_pending = true;
}

// Loopback: the transmitter's output is the receiver's input.
static void loop_back(struct serial *serial, uint8_t byte)
{
	if (fifo_room(serial, &serial->receive)) {
		fifo_push(&serial->receive, byte);
	} else {
		serial->overrun = true;
		// A FIFO keeps what it has; the single register does not.
		if (!(serial->fcr & FCR_ENABLE))
			serial->receive.data[serial->receive.first] = byte;
	}
	serial->transmit_pending = true;
}

static void write_data(struct serial *serial, uint8_t byte)
{
	serial->transmit_pending = false;
	serial->idle_looks = 0;
	if (serial->mcr & MCR_LOOP) {
		loop_back(serial, byte);
		return;
	}
	// A driver that does not wait for THRE loses what does not fit, as ever.
	if (fifo_room(serial, &serial->transmit))
		fifo_push(&serial->transmit, byte);
	drain_transmit(serial);
}

// True when the guest wants input: its driver has raised RTS, or enabled interrupt
// and FIFOs (Linux enables the interrupt first, and switching the FIFOs on empties
// them), or polls. In loopback the receiver is cut off from the line.
static bool listens(const struct serial *serial)
{
	bool interrupts = serial->ier & IER_RECEIVE && serial->fcr & FCR_ENABLE;

	return !(serial->mcr & MCR_LOOP) &&
	       (serial->mcr & MCR_RTS || interrupts || serial->idle_looks >= POLLING_LOOKS);
}

// Asks the terminal to offer again what it could not deliver.
static void ask_for_input(struct serial *serial)
{
	if (!serial->input_refused || !listens(serial))
		return;
	serial->input_refused = false;
	term_input_ready(serial->term);
}

static uint8_t read_data(struct serial *serial)
{
	uint8_t byte = 0;

	if (serial->receive.count)
		byte = fifo_pop(&serial->receive);
	if (serial->break_place)
		serial->break_place--;
	if (!serial->receive.count)
		ask_for_input(serial);
	return byte;
}

// -- registers --

static uint8_t read_iir(struct serial *serial)
{
	uint8_t id = interrupt_id(serial);

	if (id == IIR_TRANSMIT)
		serial->transmit_pending = false;
	return id | (serial->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *serial)
{
	uint8_t lsr = 0;

	if (serial->receive.count)
		lsr |= LSR_DATA_READY;
	else if (serial->idle_looks < POLLING_LOOKS && ++serial->idle_looks == POLLING_LOOKS)
		ask_for_input(serial);
	if (serial->overrun)
		lsr |= LSR_OVERRUN;
	// With the character that it came as, a zero.
	if (serial->break_place == 1)
		lsr |= LSR_BREAK;
	if (!serial->transmit.count)
		lsr |= LSR_THRE | LSR_TEMT;
	serial->overrun = false;
	return lsr;
}

static uint8_t read_msr(struct serial *serial)
{
	uint8_t msr = serial->msr;

	serial->msr &= MSR_LINES;
	return msr;
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
	bool divisor = serial->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		return divisor ? serial->dll : read_data(serial);
	case REG_IER:
		return divisor ? serial->dlm : serial->ier;
	case REG_IIR:
		return read_iir(serial);
	case REG_LCR:
		return serial->lcr;
	case REG_MCR:
		return serial->mcr;
	case REG_LSR:
		return read_lsr(serial);
	case REG_MSR:
		return read_msr(serial);
	case REG_SCR:
		return serial->scr;
	default:
		return 0;
	}
}

static void write_ier(struct serial *serial, uint8_t value)
{
	uint8_t newly = value & ~serial->ier;

	serial->ier = value & IER_MASK;
	// Enabled while the register is empty, it interrupts at once.
	if (newly & IER_TRANSMIT && !serial->transmit.count)
		serial->transmit_pending = true;
	if (newly & IER_RECEIVE)
		ask_for_input(serial);
}

static void clear_receive(struct serial *serial)
{
	serial->receive = (struct fifo){ 0 };
	serial->break_place = 0;
	ask_for_input(serial);
}

static void clear_transmit(struct serial *serial)
{
	if (serial->transmit.count)
		serial->transmit_pending = true;
	serial->transmit = (struct fifo){ 0 };
}

static void write_fcr(struct serial *serial, uint8_t value)
{
	// Switching the FIFOs on or off empties them.
	if ((value ^ serial->fcr) & FCR_ENABLE)
		value |= FCR_CLEAR_RECEIVE | FCR_CLEAR_TRANSMIT;
	// The other bits only count together with this one.
	if (!(value & FCR_ENABLE) && !(serial->fcr & FCR_ENABLE))
		return;
	serial->fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT) : 0;
	if (value & FCR_CLEAR_RECEIVE)
		clear_receive(serial);
	if (value & FCR_CLEAR_TRANSMIT)
		clear_transmit(serial);
}

static void write_mcr(struct serial *serial, uint8_t value)
{
	serial->mcr = value & MCR_MASK;
	update_modem(serial);
	if (!serial->receive.count)
		ask_for_input(serial);
}

static void write_register(struct serial *serial, uint64_t offset, uint8_t value)
{
	bool divisor = serial->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		if (divisor)
			serial->dll = value;
		else
			write_data(serial, value);
		break;
	case REG_IER:
		if (divisor)
			serial->dlm = value;
		else
			write_ier(serial, value);
		break;
	case REG_IIR:
		write_fcr(serial, value);
		break;
	case REG_LCR:
		serial->lcr = value;
		break;
	case REG_MCR:
		write_mcr(serial, value);
		break;
	case REG_SCR:
		serial->scr = value;
		break;
	}
}

static uint64_t serial_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct serial *serial = from_device(region->device);
	uint8_t value = read_register(serial, offset);

	update_irq(serial);
	return value;
}

static void serial_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct serial *serial = from_device(region->device);

	write_register(serial, offset, value);
	update_irq(serial);
}

static const struct io_ops serial_io = {
	.read = serial_read,
	.write = serial_write,
	.min_size = 1,
	.max_size = 1,
};

// -- the terminal's side, on the main loop --

static size_t take_input(void *opaque, const uint8_t *data, size_t len)
{
	struct serial *serial = opaque;
	size_t taken = 0;

	pthread_mutex_lock(&serial->dev.lock);
	if (listens(serial))
		for (; taken < len && fifo_room(serial, &serial->receive); taken++)
			fifo_push(&serial->receive, data[taken]);
	serial->input_refused = taken < len;
	update_irq(serial);
	pthread_mutex_unlock(&serial->dev.lock);
	return taken;
}

// Linux takes the character after a break for the key.
static bool take_sysrq(void *opaque, uint8_t key)
{
	struct serial *serial = opaque;
	bool taken;

	pthread_mutex_lock(&serial->dev.lock);
	taken = listens(serial) && !serial->break_place && serial->fcr & FCR_ENABLE &&
		serial->receive.count + 2 <= FIFO_BYTES;
	if (taken) {
		fifo_push(&serial->receive, 0);
		serial->break_place = serial->receive.count;
		fifo_push(&serial->receive, key);
	}
	update_irq(serial);
	pthread_mutex_unlock(&serial->dev.lock);
	return taken;
}

static void output_ready(void *opaque)
{
	struct serial *serial = opaque;

	pthread_mutex_lock(&serial->dev.lock);
	if (serial->transmit.count)
		drain_transmit(serial);
	update_irq(serial);
	pthread_mutex_unlock(&serial->dev.lock);
}

// -- life --

// The data sheet's table 2, "reset configuration"; SCR and the divisor have none.
static void serial_reset(struct device *dev)
{
	struct serial *serial = from_device(dev);

	serial->ier = 0;
	serial->fcr = 0;
	serial->lcr = 0;
	serial->mcr = 0;
	serial->msr = modem_lines(serial);
	serial->overrun = false;
	serial->transmit_pending = false;
	serial->idle_looks = 0;
	serial->transmit = (struct fifo){ 0 };
	clear_receive(serial);
	update_irq(serial);
}

static void serial_describe(struct device *dev, struct fdt_writer *fdt)
{
	fdt_node(fdt, "serial@%llx", (unsigned long long)dev->region.base);
	fdt_str(fdt, "compatible", "ns16550a");
	fdt_reg(fdt, dev->region.base, dev->region.size_bytes);
	fdt_u32(fdt, "clock-frequency", SERIAL_CLOCK_HZ);
	fdt_interrupt(fdt, &dev->irq);
	fdt_end(fdt);
}

static void serial_describe_acpi(struct device *dev, struct aml_writer *aml)
{
	aml_describe(aml, "PNP0501", dev); // 16550A-compatible COM port
}

static void serial_free(struct device *dev)
{
	device_exit(dev);
	free(from_device(dev));
}

static const struct device_ops serial_ops = {
	.reset = serial_reset,
	.describe = serial_describe,
	.describe_acpi = serial_describe_acpi,
	.free = serial_free,
};

static int create(struct device **dev, struct io_region place, struct irq_line irq,
		  struct term *term)
{
	struct serial *serial = calloc(1, sizeof(*serial));

	if (!serial)
		return fail(ENOMEM, "make the serial port");
	serial->term = term;
	serial->msr = modem_lines(serial);
	device_init(&serial->dev, "serial", &serial_ops, &serial_io, place.base, place.size_bytes,
		    irq);
	serial->dev.region.posted_bytes = 1; // THR: only a fast line would notice
	if (term)
		term_connect(term, &(struct term_frontend){
					   .input = take_input,
					   .sysrq = take_sysrq,
					   .output_ready = output_ready,
					   .opaque = serial,
				   });
	*dev = &serial->dev;
	return 0;
}

int serial_create(struct device **dev, uint64_t base, struct irq_line irq, struct term *term)
{
	struct io_region place = { .base = base, .size_bytes = SERIAL_SIZE };

	return create(dev, place, irq, term);
}

int serial_port_create(struct device **dev, uint16_t port, struct irq_line irq, struct term *term)
{
	struct io_region place = { .base = port, .size_bytes = SERIAL_PORT_SIZE };

	return create(dev, place, irq, term);
}
