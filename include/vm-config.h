// SPDX-License-Identifier: GPL-2.0-or-later
// What the user asked for: plain values, const after parsing, outlives the VM.
#ifndef KVIK_VM_CONFIG_H
#define KVIK_VM_CONFIG_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "rate-limit.h"

enum accel_kind { ACCEL_AUTO, ACCEL_KVM, ACCEL_SOFT, ACCEL_COUNT };
const char *accel_kind_name(enum accel_kind kind); // as in --accel: "auto", "kvm", "soft"

enum console_kind { CONSOLE_SERIAL, CONSOLE_VIRTIO, CONSOLE_COUNT };

// DISK_FORMAT_AUTO: what the image says that it is.
enum disk_format { DISK_FORMAT_AUTO, DISK_FORMAT_RAW, DISK_FORMAT_QCOW2, DISK_FORMAT_COUNT };

// DISK_AIO_AUTO: what serves the file best.
enum disk_aio { DISK_AIO_AUTO, DISK_AIO_THREADS, DISK_AIO_NATIVE, DISK_AIO_IO_URING };

struct disk_config {
	const char *path;
	enum disk_format format;
	enum disk_aio aio;
	bool read_only;
	bool direct;             // O_DIRECT
	bool snapshot;           // what is written is thrown away in the end
	bool backing;            // a qcow2 image may have backing files
	unsigned queues;         // request queues, each with a thread; 0: 1
	const char *serial;      // at most 20 bytes; NULL: made from the path
	bool stop_on_read_error; // the request waits until it works
	bool stop_on_write_error;
	struct rate_config rate; // requests and bytes
};

// How a network device reaches the world.
enum net_mode { NET_USER, NET_TAP, NET_STREAM, NET_COUNT };
enum net_user_backend { NET_USER_SLIRP, NET_USER_PASST };

// A port of the host's that leads into the guest; addresses as text, NULL: any.
struct net_forward {
	bool udp;
	const char *host_address;
	const char *guest_address;
	uint16_t host_port;
	uint16_t guest_port;
};

struct net_config {
	enum net_mode mode;
	bool optional;           // nobody asked for it: where it fails, the guest goes without
	uint8_t mac[6];          // the guest's
	bool any_mac;            // that is a default: the backend may know better
	uint16_t mtu;            // 0: the backend's or 1500
	unsigned queue_pairs;    // 0: 1
	struct rate_config rate; // frames and bytes, each way
	// NET_USER
	enum net_user_backend backend;
	const char *host_ip; // NULL: the default, also below
	const char *guest_ip;
	struct net_forward *forwards;
	unsigned forward_count;
	// NET_TAP
	const char *tap_name; // or a macvtap's /dev/tapN; NULL: a new one
	const char *bridge;
	const char *bridge_helper; // NULL: QEMU's, where it is
	const char *script;
	const char *down_script;
	bool vhost;
	// NET_STREAM: a Unix socket's path. NET_TAP and NET_STREAM: or an open descriptor.
	const char *socket_path;
	bool listen; // wait for the peer there, instead of connecting
	int fd;      // -1: none
};

struct name_list {
	const char **names;
	unsigned count;
};

// Strings belong to the caller (argv, mostly) and outlive the config.
struct vm_config {
	const char *name;         // [A-Za-z0-9._-]{1,64}
	const char *options_json; // what became of all this; NULL: JSON cannot say it
	const char *kernel_path;
	const char *initrd_path;   // NULL: none
	const char *params;        // kernel command line from -p; NULL: none
	const char *dump_dtb_path; // NULL: none
	uint64_t memory_bytes;
	const char *hugetlbfs; // directory of a hugetlbfs, for the guest's RAM; NULL: none
	unsigned cpus;
	cpu_set_t vcpu_affinity; // the host's CPUs that the vCPUs run on; none: any
	enum accel_kind accel;
	const char *kvm_path; // NULL: /dev/kvm
	const char *irqchip;  // NULL: auto; the machine knows which there are
	enum console_kind console;
	struct disk_config *disks;
	unsigned disk_count;
	struct net_config *nets;
	unsigned net_count;
	bool no_network; // not even the default one
	bool rng;
	bool balloon;
	bool no_defaults;      // nothing generated on the kernel command line, no network
	bool no_reboot;        // a guest reset ends the VM
	bool exit_with_parent; // so does the end of the process that started kvik
	uint64_t kaslr_seed;   // for /chosen; 0: a random one

	// riscv
	unsigned satp_mode; // 39, 48 or 57 bits of virtual address; 0: the accelerator's choice
	struct name_list disabled_isa; // extensions that the guest shall not have: "zbb"
	struct name_list disabled_sbi; // "dbcn"
	uint64_t mvendorid;            // 0: the accelerator's
	uint64_t marchid;
	uint64_t mimpid;

	// arm64
	unsigned sve_max_vl; // bits; 0: as wide as the host's
	bool aarch32;        // the guest's CPUs are 32-bit
	bool pmu;            // the guest gets performance counters
	bool no_mte;         // no memory tagging
	bool no_pvtime;      // the guest is not told of stolen time

	// For tests of the software engine; 0 is the default size.
	unsigned soft_tlb_entries;      // 1 to 64: a fill beyond them evicts all
	uint64_t soft_code_cache_bytes; // of decoded code, at least 64 KiB
};

#endif
