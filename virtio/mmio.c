// SPDX-License-Identifier: GPL-2.0-or-later
// The MMIO transport, version 2 (virtio 1.2 4.2): registers in front of a device.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "aml.h"
#include "bus.h"
#include "bytes.h"
#include "device.h"
#include "fdt.h"
#include "log.h"
#include "mmio-page.h"
#include "virtio.h"

// Register offsets (4.2.2).
enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC_LOW = 0x080,
	REG_QUEUE_DESC_HIGH = 0x084,
	REG_QUEUE_DRIVER_LOW = 0x090,
	REG_QUEUE_DRIVER_HIGH = 0x094,
	REG_QUEUE_DEVICE_LOW = 0x0a0,
	REG_QUEUE_DEVICE_HIGH = 0x0a4,
	REG_SHM_LEN_LOW = 0x0b0,
	REG_SHM_LEN_HIGH = 0x0b4,
	REG_SHM_BASE_LOW = 0x0b8,
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};

#define MAGIC 0x74726976     // "virt"
#define VENDOR_ID 0x4b49564b // "KVIK"
#define VERSION 2
#define REGISTER_BYTES 4  // every register but the configuration space's
#define NO_SHM UINT32_MAX // length and address of a region that there is not (4.2.2)

struct virtio_mmio {
	struct device dev;
	struct virtio_device *vdev;
	uint32_t device_features_sel; // which half of the 64 bits
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	int ack_fd; // signalled by acknowledgements that change nothing; -1: none
	struct mmio_page page;
};

static struct virtio_mmio *from_region(struct io_region *region)
{
	return container_of(region->device, struct virtio_mmio, dev);
}

// -- reads --

static uint32_t read_features(const struct virtio_mmio *mmio)
{
	uint64_t features = virtio_features(mmio->vdev);

	switch (mmio->device_features_sel) {
	case 0:
		return features;
	case 1:
		return features >> 32;
	default:
		return 0;
	}
}

static uint32_t read_queue_register(struct virtio_mmio *mmio, uint64_t offset)
{
	const struct virtqueue *vq = virtio_queue(mmio->vdev, mmio->queue_sel);

	if (!vq)
		return 0;
	return offset == REG_QUEUE_READY ? vq->ready : vq->size_max;
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	struct virtio_device *vdev = mmio->vdev;

	switch (offset) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return vdev->ops->type;
	case REG_VENDOR_ID:
		return VENDOR_ID;
	case REG_DEVICE_FEATURES:
		return read_features(mmio);
	case REG_QUEUE_NUM_MAX:
	case REG_QUEUE_READY:
		return read_queue_register(mmio, offset);
	case REG_INTERRUPT_STATUS:
		return virtio_isr(vdev);
	case REG_STATUS:
		return virtio_status(vdev);
	case REG_SHM_LEN_LOW:
	case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW:
	case REG_SHM_BASE_HIGH:
		return NO_SHM;
	case REG_CONFIG_GENERATION:
		return atomic_load(&vdev->config_generation);
	default:
		return 0;
	}
}

static bool in_config(const struct virtio_mmio *mmio, uint64_t offset, unsigned size)
{
	uint32_t config_bytes = mmio->vdev->ops->config_bytes;

	return offset < config_bytes && size <= config_bytes - offset;
}

static uint64_t read_config(struct virtio_mmio *mmio, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (in_config(mmio, offset, size))
		mmio->vdev->ops->config_read(mmio->vdev, offset, &value, size);
	return value;
}

// Only what a driver finds that runs its device, and has no interrupt to hear of but the
// queues': with one comes mmio_page_hide(), after the bit that is looked for here.
static bool fill_page(void *opaque, uint8_t *bytes)
{
	struct virtio_mmio *mmio = opaque;
	struct virtio_device *vdev = mmio->vdev;

	if (!vdev->active || virtio_isr(vdev) != VIRTIO_ISR_QUEUE ||
	    virtio_status(vdev) & VIRTIO_STATUS_NEEDS_RESET)
		return false;
	for (uint32_t offset = 0; offset < REG_CONFIG; offset += REGISTER_BYTES)
		store_le32(bytes + offset, read_register(mmio, offset));
	for (uint32_t i = 0; i < vdev->ops->config_bytes; i++)
		bytes[REG_CONFIG + i] = (uint8_t)read_config(mmio, i, 1);
	return true;
}

static uint64_t mmio_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct virtio_mmio *mmio = from_region(region);

	if (offset >= REG_CONFIG)
		return read_config(mmio, offset - REG_CONFIG, size);
	if (offset == REG_INTERRUPT_STATUS)
		mmio_page_note_read(&mmio->page, fill_page, mmio);
	return size == REGISTER_BYTES ? read_register(mmio, offset) : 0;
}

// -- writes --

static uint64_t with_low(uint64_t before, uint32_t value)
{
	return (before & ~(uint64_t)UINT32_MAX) | value;
}

static uint64_t with_high(uint64_t before, uint32_t value)
{
	return (before & UINT32_MAX) | (uint64_t)value << 32;
}

static void write_features(struct virtio_mmio *mmio, uint32_t value)
{
	struct virtio_device *vdev = mmio->vdev;
	uint64_t before = vdev->features_driver;

	if (mmio->driver_features_sel == 0)
		virtio_set_driver_features(vdev, with_low(before, value));
	else if (mmio->driver_features_sel == 1)
		virtio_set_driver_features(vdev, with_high(before, value));
}

// An invalid size leaves 0, with which the queue cannot start. What else a kind of ring
// wants, virtqueue_start() checks.
static uint16_t checked_size(const struct virtqueue *vq, uint32_t size)
{
	return size <= vq->size_max ? size : 0;
}

// 4.2.3.2: a queue is set up before DRIVER_OK, and while it is not ready.
static void write_queue_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtqueue *vq = virtio_queue(mmio->vdev, mmio->queue_sel);

	if (!vq || !virtio_may_set_up_queues(mmio->vdev))
		return;
	if (offset == REG_QUEUE_READY)
		vq->ready = value & 1;
	if (vq->ready)
		return;
	switch (offset) {
	case REG_QUEUE_NUM:
		vq->size = checked_size(vq, value);
		break;
	case REG_QUEUE_DESC_LOW:
		vq->desc_gpa = with_low(vq->desc_gpa, value);
		break;
	case REG_QUEUE_DESC_HIGH:
		vq->desc_gpa = with_high(vq->desc_gpa, value);
		break;
	case REG_QUEUE_DRIVER_LOW:
		vq->avail_gpa = with_low(vq->avail_gpa, value);
		break;
	case REG_QUEUE_DRIVER_HIGH:
		vq->avail_gpa = with_high(vq->avail_gpa, value);
		break;
	case REG_QUEUE_DEVICE_LOW:
		vq->used_gpa = with_low(vq->used_gpa, value);
		break;
	case REG_QUEUE_DEVICE_HIGH:
		vq->used_gpa = with_high(vq->used_gpa, value);
		break;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case REG_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case REG_DRIVER_FEATURES:
		write_features(mmio, value);
		break;
	case REG_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case REG_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case REG_QUEUE_NOTIFY:
		virtio_notify(mmio->vdev, value);
		break;
	case REG_INTERRUPT_ACK:
		virtio_ack(mmio->vdev, value);
		break;
	case REG_STATUS:
		if (value <= UINT8_MAX)
			virtio_set_status(mmio->vdev, value);
		break;
	default:
		write_queue_register(mmio, offset, value);
	}
}

static void write_config(struct virtio_mmio *mmio, uint64_t offset, uint64_t value, unsigned size)
{
	const struct virtio_ops *ops = mmio->vdev->ops;

	if (ops->config_write && in_config(mmio, offset, size))
		ops->config_write(mmio->vdev, offset, &value, size);
}

static void mmio_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct virtio_mmio *mmio = from_region(region);

	if (offset != REG_QUEUE_NOTIFY)
		mmio_page_hide(&mmio->page);
	if (offset >= REG_CONFIG)
		write_config(mmio, offset - REG_CONFIG, value, size);
	else if (size == REGISTER_BYTES)
		write_register(mmio, offset, value);
}

static const struct io_ops mmio_io_ops = {
	.read = mmio_read,
	.write = mmio_write,
	.min_size = 1,
	.max_size = 8,
};

// -- the device --

static void mmio_reset(struct device *dev)
{
	struct virtio_mmio *mmio = container_of(dev, struct virtio_mmio, dev);

	mmio_page_hide(&mmio->page);
	virtio_reset(mmio->vdev);
	if (mmio->vdev->ops->forget)
		mmio->vdev->ops->forget(mmio->vdev);
	mmio->device_features_sel = 0;
	mmio->driver_features_sel = 0;
	mmio->queue_sel = 0;
}

static void add_notify_doorbells(struct virtio_mmio *mmio, struct bus *bus)
{
	for (unsigned i = 0; i < mmio->vdev->queue_count; i++) {
		struct bus_doorbell doorbell = {
			.addr = mmio->dev.region.base + REG_QUEUE_NOTIFY,
			.len = REGISTER_BYTES,
			.value = i,
			.fd = virtio_open_doorbell(mmio->vdev, i),
		};

		if (doorbell.fd < 0)
			return;
		if (bus_add_doorbell(bus, &doorbell))
			virtio_close_doorbell(mmio->vdev, i);
	}
}

// Of a queue's interrupt on an edge-triggered line: nobody listens.
static void add_ack_doorbell(struct virtio_mmio *mmio, struct bus *bus)
{
	struct bus_doorbell doorbell = {
		.addr = mmio->dev.region.base + REG_INTERRUPT_ACK,
		.len = REGISTER_BYTES,
		.value = VIRTIO_ISR_QUEUE,
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};

	mmio->ack_fd = doorbell.fd;
	if (doorbell.fd >= 0 && bus_add_doorbell(bus, &doorbell)) {
		close(doorbell.fd);
		mmio->ack_fd = -1;
	}
}

static void isr_grew(void *opaque)
{
	mmio_page_hide(opaque);
}

// Nobody else may live in the page.
static void add_page(struct virtio_mmio *mmio, struct bus *bus)
{
	if (mmio->dev.region.size_bytes < BUS_PAGE_BYTES)
		return;
	mmio_page_init(&mmio->page, bus, mmio->dev.region.base);
	mmio->vdev->isr_opaque = &mmio->page;
	mmio->vdev->isr_grew = isr_grew;
}

// Has the accelerator take by itself what it can of the driver's stores; the registers go
// on to work for every other value. Anything that fails here only costs speed.
static int mmio_plugged(struct device *dev, struct bus *bus)
{
	struct virtio_mmio *mmio = container_of(dev, struct virtio_mmio, dev);

	if (!bus->add_doorbell)
		return 0;
	add_notify_doorbells(mmio, bus);
	if (mmio->vdev->irq.edge)
		add_ack_doorbell(mmio, bus);
	if (mmio->ack_fd >= 0)
		add_page(mmio, bus);
	return 0;
}

static void mmio_hold(struct device *dev, bool hold)
{
	virtio_hold(container_of(dev, struct virtio_mmio, dev)->vdev, hold);
}

static void mmio_metrics(struct device *dev, struct metric_sink *sink)
{
	struct virtio_device *vdev = container_of(dev, struct virtio_mmio, dev)->vdev;

	if (vdev->ops->metrics)
		vdev->ops->metrics(vdev, sink);
}

static void mmio_describe(struct device *dev, struct fdt_writer *fdt)
{
	fdt_node(fdt, "virtio_mmio@%llx", (unsigned long long)dev->region.base);
	fdt_str(fdt, "compatible", "virtio,mmio");
	fdt_reg(fdt, dev->region.base, dev->region.size_bytes);
	fdt_interrupt(fdt, &dev->irq);
	fdt_flag(fdt, "dma-coherent");
	fdt_end(fdt);
}

// Linux's virtio_mmio knows this id; it stands for what the specification leaves out.
static void mmio_describe_acpi(struct device *dev, struct aml_writer *aml)
{
	aml_describe(aml, "LNRO0005", dev);
}

static void mmio_free(struct device *dev)
{
	struct virtio_mmio *mmio = container_of(dev, struct virtio_mmio, dev);

	mmio->vdev->ops->free(mmio->vdev);
	mmio_page_exit(&mmio->page);
	if (mmio->ack_fd >= 0)
		close(mmio->ack_fd);
	device_exit(dev);
	free(mmio);
}

static const struct device_ops mmio_device_ops = {
	.reset = mmio_reset,
	.plugged = mmio_plugged,
	.hold = mmio_hold,
	.metrics = mmio_metrics,
	.describe = mmio_describe,
	.describe_acpi = mmio_describe_acpi,
	.free = mmio_free,
};

int virtio_mmio_create(struct device **dev, struct virtio_device *vdev, uint64_t base,
		       uint64_t size_bytes, struct irq_line irq)
{
	struct virtio_mmio *mmio = calloc(1, sizeof(*mmio));

	if (!mmio) {
		vdev->ops->free(vdev);
		return fail(ENOMEM, "virtio-mmio at 0x%llx", (unsigned long long)base);
	}
	mmio->vdev = vdev;
	mmio->ack_fd = -1;
	vdev->irq = irq;
	device_init(&mmio->dev, vdev->name, &mmio_device_ops, &mmio_io_ops, base, size_bytes, irq);
	*dev = &mmio->dev;
	return 0;
}
