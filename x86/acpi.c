// SPDX-License-Identifier: GPL-2.0-or-later
// The ACPI tables of the x86-64 machine (ACPI 6.4 ch. 5): RSDP, XSDT, FADT, MADT,
// DSDT, and SPCR (Microsoft's specification of it) for the kernel's earliest console.
//
// The hardware is "reduced" (4.1): no ACPI timer, no fixed events, no SCI; instead two
// sleep registers and a reset register. Linux then leaves 8259s and PIT alone, too.
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "acpi.h"
#include "aml.h"
#include "device.h"
#include "log.h"
#include "x86-machine.h"

#define PACKED __attribute__((packed))

// 5.2.6
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;
static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.4 table 5.4");

// 5.2.3.2: generic address structure
struct acpi_address {
	uint8_t space; // 1: I/O ports
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access; // 1: bytes
	uint64_t address;
} PACKED;

// 5.2.5.3
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; // of the first 20 bytes
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;
static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.4 table 5.3");
#define RSDP_SHORT_BYTES 20

// 5.2.9; what is left out belongs to hardware that is not reduced.
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t unused_44[64];
	uint8_t century; // index in the CMOS RAM
	uint16_t boot_architecture;
	uint8_t reserved_111;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_boot_architecture;
	uint8_t minor_revision;
	uint64_t x_facs;
	uint64_t x_dsdt;
	uint8_t unused_148[96];
	struct acpi_address sleep_control;
	struct acpi_address sleep_status;
	char hypervisor[8];
} PACKED;
static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 6.4 table 5.9");

#define FADT_WBINVD (1U << 0)
#define FADT_PROC_C1 (1U << 2)
#define FADT_NO_POWER_BUTTON (1U << 4)
#define FADT_NO_SLEEP_BUTTON (1U << 5)
#define FADT_NO_FIXED_RTC (1U << 6)
#define FADT_RESET_REGISTER (1U << 10)
#define FADT_HARDWARE_REDUCED (1U << 20)

// IA-PC boot architecture flags. That of an 8042 is not among them: it has no keyboard,
// and looking for one takes long.
#define BOOT_LEGACY_DEVICES (1U << 0)
#define BOOT_NO_VGA (1U << 2)

// 5.2.12
struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic;
	uint32_t flags;
} PACKED;

struct madt_lapic { // 5.2.12.2
	uint8_t type;
	uint8_t length;
	uint8_t processor;
	uint8_t apic_id;
	uint32_t flags;
} PACKED;

struct madt_ioapic { // 5.2.12.3
	uint8_t type;
	uint8_t length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} PACKED;

struct madt_lapic_nmi { // 5.2.12.7
	uint8_t type;
	uint8_t length;
	uint8_t processor; // 0xff: all
	uint16_t flags;
	uint8_t lint;
} PACKED;

struct madt_x2apic { // 5.2.12.12
	uint8_t type;
	uint8_t length;
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t processor;
} PACKED;

enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_LAPIC_NMI = 4, MADT_X2APIC = 9 };
#define MADT_LAPIC_ENABLED 1
// The ids of local APICs end here; 0xff is a broadcast.
#define LAPIC_IDS 0xff

struct acpi_spcr {
	struct acpi_header header;
	uint8_t interface; // 0: 16550
	uint8_t reserved_37[3];
	struct acpi_address base;
	uint8_t interrupt_type; // 2: I/O APIC
	uint8_t irq;
	uint32_t gsi;
	uint8_t baud_rate; // 7: 115200
	uint8_t parity;
	uint8_t stop_bits;
	uint8_t flow_control;
	uint8_t terminal; // 3: ANSI
	uint8_t reserved_63;
	uint16_t pci_device_id; // 0xffff: not PCI
	uint16_t pci_vendor_id;
	uint8_t unused_68[12];
} PACKED;
static_assert(sizeof(struct acpi_spcr) == 80, "SPCR revision 2");

#define NOTIFY_PRESSED 0x80 // table 5.134: of a power button

// Where the clock keeps the century (hw/cmos-rtc.c).
#define CMOS_CENTURY 0x32

#define MAX_TABLES 8
#define TABLE_ALIGN_BYTES 16

// The area while it is filled.
struct area {
	uint64_t gpa;
	uint8_t *data;
	size_t room_bytes;
	size_t used_bytes;
	uint64_t tables[MAX_TABLES]; // what the XSDT lists
	unsigned table_count;
	uint64_t dsdt_gpa;
};

static struct acpi_address port_address(uint16_t port)
{
	return (struct acpi_address){
		.space = 1,
		.bits = 8,
		.access = 1,
		.address = htole64(port),
	};
}

// What makes the sum of all bytes 0, once it stands where a 0 was.
static uint8_t checksum(const void *data, size_t size_bytes)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < size_bytes; i++)
		sum += bytes[i];
	return -sum;
}

static int no_room(const struct area *area)
{
	return fail_msg(ENOSPC, "the ACPI tables need more than %zu KiB; give the VM fewer devices",
			area->room_bytes / (size_t)KIB);
}

static int append(struct area *area, const void *data, size_t size_bytes)
{
	if (size_bytes > area->room_bytes - area->used_bytes)
		return no_room(area);
	memcpy(area->data + area->used_bytes, data, size_bytes);
	area->used_bytes += size_bytes;
	return 0;
}

static struct acpi_header header(const char *signature, uint8_t revision)
{
	struct acpi_header made = {
		.revision = revision,
		.oem_id = { 'K', 'V', 'I', 'K', ' ', ' ' },
		.oem_table_id = { 'K', 'V', 'I', 'K', 'X', '8', '6', ' ' },
		.oem_revision = htole32(1),
		.creator_id = { 'K', 'V', 'I', 'K' },
		.creator_revision = htole32(1),
	};

	memcpy(made.signature, signature, sizeof(made.signature));
	return made;
}

// Length and checksum of the table that began at @start_bytes; aligns the next.
static void end_table(struct area *area, size_t start_bytes)
{
	struct acpi_header *table = (struct acpi_header *)(area->data + start_bytes);
	size_t length = area->used_bytes - start_bytes;

	table->length = htole32(length);
	table->checksum = checksum(table, length);
	area->used_bytes = MIN(align_up(area->used_bytes, TABLE_ALIGN_BYTES), area->room_bytes);
}

static int add_table(struct area *area, const void *table, size_t size_bytes)
{
	size_t start = area->used_bytes;
	int rc = append(area, table, size_bytes);

	if (rc)
		return rc;
	area->tables[area->table_count++] = area->gpa + start;
	end_table(area, start);
	return 0;
}

// -- DSDT --

// 4.8.2.2.1.2 and 5.6.9: without fixed hardware, the button is a device of its own, which
// an event device notifies.
static void describe_power_button(struct aml_writer *aml)
{
	aml_device(aml, "PWRB");
	aml_name_string(aml, "_HID", "PNP0C0C");
	aml_name_integer(aml, "_UID", 0);
	aml_end(aml);
	aml_device(aml, "GED0");
	aml_name_string(aml, "_HID", "ACPI0013");
	aml_name_integer(aml, "_UID", 0);
	aml_edge_resource(aml, X86_GSI_POWER_BUTTON);
	aml_event_method(aml, "PWRB", NOTIFY_PRESSED);
	aml_end(aml);
}

static void describe(struct aml_writer *aml, const struct x86_acpi *acpi)
{
	// 7.4.2: what goes into the sleep control register for S5, soft off.
	static const uint8_t s5[] = { ACPI_POWER_S5_TYPE, 0, 0, 0 };

	aml_name_package(aml, "_S5_", s5, ARRAY_SIZE(s5));
	aml_scope(aml, "_SB_");
	describe_power_button(aml);
	device_list_describe_acpi(acpi->devices, aml);
	aml_end(aml);
}

static int add_dsdt(struct area *area, const struct x86_acpi *acpi)
{
	// Revision 2: integers have 64 bits.
	struct acpi_header dsdt = header("DSDT", 2);
	size_t start = area->used_bytes;
	struct aml_writer aml;
	int rc = append(area, &dsdt, sizeof(dsdt));

	if (rc)
		return rc;
	aml_writer_init(&aml, area->data + area->used_bytes, area->room_bytes - area->used_bytes);
	describe(&aml, acpi);
	if (aml.error == ENOSPC)
		return no_room(area);
	rc = aml_writer_finish(&aml);
	if (rc)
		return rc;
	area->used_bytes += aml.used_bytes;
	area->dsdt_gpa = area->gpa + start;
	end_table(area, start);
	return 0;
}

// -- the others --

static int add_fadt(struct area *area, const struct x86_acpi *acpi)
{
	struct acpi_fadt fadt = {
		.header = header("FACP", 6),
		.dsdt = htole32(area->dsdt_gpa),
		.century = CMOS_CENTURY,
		.boot_architecture = htole16(BOOT_LEGACY_DEVICES | BOOT_NO_VGA),
		.flags = htole32(FADT_WBINVD | FADT_PROC_C1 | FADT_NO_POWER_BUTTON |
				 FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC | FADT_RESET_REGISTER |
				 FADT_HARDWARE_REDUCED),
		.reset = port_address(X86_POWER_PORT + ACPI_POWER_RESET),
		.reset_value = ACPI_POWER_RESET_VALUE,
		.minor_revision = 4,
		.x_dsdt = htole64(area->dsdt_gpa),
		.sleep_control = port_address(X86_POWER_PORT + ACPI_POWER_SLEEP_CONTROL),
		.sleep_status = port_address(X86_POWER_PORT + ACPI_POWER_SLEEP_STATUS),
		.hypervisor = "kvik",
	};

	return add_table(area, &fadt, sizeof(fadt));
}

static int append_cpu(struct area *area, unsigned cpu)
{
	struct madt_lapic lapic = {
		.type = MADT_LAPIC,
		.length = sizeof(lapic),
		.processor = cpu,
		.apic_id = cpu,
		.flags = htole32(MADT_LAPIC_ENABLED),
	};
	struct madt_x2apic x2apic = {
		.type = MADT_X2APIC,
		.length = sizeof(x2apic),
		.apic_id = htole32(cpu),
		.flags = htole32(MADT_LAPIC_ENABLED),
		.processor = htole32(cpu),
	};

	return cpu < LAPIC_IDS ? append(area, &lapic, sizeof(lapic)) :
				 append(area, &x2apic, sizeof(x2apic));
}

// No interrupt source overrides: whoever has an interrupt describes it in the DSDT.
static int append_controllers(struct area *area, unsigned cpus)
{
	struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC,
		.length = sizeof(ioapic),
		.id = X86_IOAPIC_ID,
		.address = htole32(X86_IOAPIC_BASE),
	};
	struct madt_lapic_nmi nmi = {
		.type = MADT_LAPIC_NMI,
		.length = sizeof(nmi),
		.processor = 0xff,
		.lint = 1,
	};
	int rc = 0;

	for (unsigned i = 0; !rc && i < cpus; i++)
		rc = append_cpu(area, i);
	if (!rc)
		rc = append(area, &ioapic, sizeof(ioapic));
	return rc ? rc : append(area, &nmi, sizeof(nmi));
}

static int add_madt(struct area *area, const struct x86_acpi *acpi)
{
	struct acpi_madt madt = {
		.header = header("APIC", 5),
		.lapic = htole32(X86_LAPIC_BASE),
	};
	size_t start = area->used_bytes;
	int rc = append(area, &madt, sizeof(madt));

	if (!rc)
		rc = append_controllers(area, acpi->cpus);
	if (rc)
		return rc;
	area->tables[area->table_count++] = area->gpa + start;
	end_table(area, start);
	return 0;
}

static int add_spcr(struct area *area, const struct x86_acpi *acpi)
{
	struct acpi_spcr spcr = {
		.header = header("SPCR", 2),
		.base = port_address(x86_serial_port(0)),
		.interrupt_type = 2,
		.gsi = htole32(x86_serial_gsi(0)),
		.baud_rate = 7,
		.stop_bits = 1,
		.terminal = 3,
		.pci_device_id = 0xffff,
		.pci_vendor_id = 0xffff,
	};

	return acpi->serial_console ? add_table(area, &spcr, sizeof(spcr)) : 0;
}

static int add_xsdt(struct area *area, uint64_t *xsdt_gpa)
{
	struct acpi_header xsdt = header("XSDT", 1);
	size_t start = area->used_bytes;
	int rc = append(area, &xsdt, sizeof(xsdt));

	for (unsigned i = 0; !rc && i < area->table_count; i++) {
		uint64_t table = htole64(area->tables[i]);

		rc = append(area, &table, sizeof(table));
	}
	if (rc)
		return rc;
	*xsdt_gpa = area->gpa + start;
	end_table(area, start);
	return 0;
}

static void write_rsdp(struct area *area, uint64_t xsdt_gpa)
{
	struct acpi_rsdp rsdp = {
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.oem_id = { 'K', 'V', 'I', 'K', ' ', ' ' },
		.revision = 2,
		.length = htole32(sizeof(rsdp)),
		.xsdt = htole64(xsdt_gpa),
	};

	rsdp.checksum = checksum(&rsdp, RSDP_SHORT_BYTES);
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	memcpy(area->data, &rsdp, sizeof(rsdp));
}

int x86_acpi_build(const struct x86_acpi *acpi, uint64_t gpa, uint8_t *data, size_t room_bytes,
		   size_t *used_bytes)
{
	// The FADT names the DSDT; the XSDT lists all but that.
	static int (*const adders[])(struct area *, const struct x86_acpi *) = {
		add_dsdt,
		add_fadt,
		add_madt,
		add_spcr,
	};
	struct area area = { .gpa = gpa, .data = data, .room_bytes = room_bytes };
	uint64_t xsdt_gpa;
	int rc = 0;

	area.used_bytes = align_up(sizeof(struct acpi_rsdp), TABLE_ALIGN_BYTES);
	if (area.used_bytes > room_bytes)
		return no_room(&area);
	memset(data, 0, room_bytes);
	for (size_t i = 0; !rc && i < ARRAY_SIZE(adders); i++)
		rc = adders[i](&area, acpi);
	if (!rc)
		rc = add_xsdt(&area, &xsdt_gpa);
	if (rc)
		return rc;
	write_rsdp(&area, xsdt_gpa);
	*used_bytes = area.used_bytes;
	return 0;
}
