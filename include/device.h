// SPDX-License-Identifier: GPL-2.0-or-later
// What every emulated device has: a name, registers on a bus, a lock, a life.
//
// A device's create function allocates and returns it; device_list_add() takes
// ownership. Everything in this header is for the main thread while the vCPUs are
// stopped, except that io_ops run on vCPU threads with the device's lock held.
#ifndef KVIK_DEVICE_H
#define KVIK_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "irq.h"
#include "util.h"

struct aml_writer;
struct bus;
struct device;
struct fdt_writer;
struct io_region;
struct metric_sink;

// Register handlers. The bus has checked that [@offset, @offset + @size) lies in
// the region, that @size is a power of two from min_size to max_size, and that
// @offset is aligned to it; it holds the device's lock.
struct io_ops {
	uint64_t (*read)(struct io_region *region, uint64_t offset, unsigned size);
	void (*write)(struct io_region *region, uint64_t offset, uint64_t value, unsigned size);
	uint8_t min_size; // bytes
	uint8_t max_size; // bytes, at most 8
};

struct io_region {
	uint64_t base; // guest-physical address, or port on a port bus
	uint64_t size_bytes;
	const struct io_ops *ops;
	struct device *device;
	// Stores to its first bytes may arrive late, by 10 ms at most, though never after a
	// later access of the same vCPU that is not such a store. Most devices have none.
	// Only for registers whose handlers never wait for the main loop: it delivers such
	// stores itself, or waits for the vCPU that does.
	uint8_t posted_bytes;
};

struct device_ops {
	// Back to the state at power on. Vcpus stopped.
	void (*reset)(struct device *dev);
	// Its registers are on @bus now; NULL if it need not know. Returns 0 or -errno
	// after a message.
	int (*plugged)(struct device *dev, struct bus *bus);
	// Makes its threads stand still (@hold) or go on; NULL if it has none. Vcpus stopped.
	void (*hold)(struct device *dev, bool hold);
	// Tells what it has counted, vCPUs running or not; NULL: nothing.
	void (*metrics)(struct device *dev, struct metric_sink *sink);
	// Adds the device's node to the device tree; NULL if it has none.
	void (*describe)(struct device *dev, struct fdt_writer *fdt);
	// Adds the device to ACPI's DSDT; NULL if it is not to be found there.
	void (*describe_acpi)(struct device *dev, struct aml_writer *aml);
	// Stops its threads and frees it. Vcpus joined.
	void (*free)(struct device *dev);
};

struct device {
	char name[24]; // for messages: "blk0"
	const struct device_ops *ops;
	pthread_mutex_t lock; // guards the registers; taken by the bus
	struct io_region region;
	struct irq_line irq;
	struct device *next_newer; // device_list
	struct device *next_older;
};

// Fills in the common part. @region base and size may be 0 for a device without
// registers. Copies @name.
void device_init(struct device *dev, const char *name, const struct device_ops *ops,
		 const struct io_ops *io, uint64_t base, uint64_t size_bytes, struct irq_line irq);
// The counterpart, called by the device's free().
void device_exit(struct device *dev);

// Devices in the order in which they were added; freed last in, first out.
struct device_list {
	struct device *oldest;
	struct device *newest;
};

// Takes ownership of @dev, also when it fails (then @dev is freed), and puts its
// registers on @bus. Returns 0, or -EEXIST when the region overlaps another.
int device_list_add(struct device_list *list, struct bus *bus, struct device *dev) MUST_CHECK;
void device_list_reset(struct device_list *list);
// While devices are held they must not be reset or freed.
void device_list_hold(struct device_list *list, bool hold);
void device_list_metrics(struct device_list *list, struct metric_sink *sink);
void device_list_describe(struct device_list *list, struct fdt_writer *fdt);
void device_list_describe_acpi(struct device_list *list, struct aml_writer *aml);
void device_list_free(struct device_list *list);

#endif
