// SPDX-License-Identifier: GPL-2.0-or-later
// Can this host run a VM, and if not, what is missing?
//
// By what KVM does, never by what the CPU is called: a KVM that makes a VM is tried. The
// VM is kept: to end one takes KVM milliseconds.

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm-host.h"
#include "vm-config.h"

const char *kvm_path(const struct vm_config *config)
{
	return config->kvm_path ? config->kvm_path : "/dev/kvm";
}

// What makes /dev/kvm appear.
static const char *remedy_absent(void)
{
#if defined(__x86_64__)
	return "load its module (modprobe kvm-intel or kvm-amd) and see that the firmware or the "
	       "hypervisor above leaves virtualisation (VMX or SVM) on";
#elif defined(__aarch64__)
	return "the host must have been booted in EL2, with KVM in its kernel";
#else
	return "load its module (modprobe kvm) on a CPU with the H extension";
#endif
}

static int cannot_open(const char *path, int error, char *why, size_t size)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		snprintf(why, size, "KVM is absent: %s: %s; %s", path, strerror(error),
			 remedy_absent());
		break;
	case EACCES:
	case EPERM:
		snprintf(why, size,
			 "KVM is closed to you: %s: %s; join the group that owns it (usually: "
			 "sudo usermod -aG kvm $USER), then log in again",
			 path, strerror(error));
		break;
	default:
		snprintf(why, size, "KVM cannot be used: open %s: %s", path, strerror(error));
	}
	return -error;
}

static int unable(char *why, size_t size, const char *path, const char *what, int error)
{
	snprintf(why, size, "KVM is unable: %s: %s%s%s%s", path, what, error ? ": " : "",
		 error ? strerror(error) : "",
		 error == EBUSY ? "; another hypervisor holds the CPU's virtualisation" : "");
	return error ? -error : -ENOTSUP;
}

static int try_vm(struct accel *accel, int fd, char *why, size_t size)
{
	const char *path = kvm_path(accel->config);
	int version = ioctl(fd, KVM_GET_API_VERSION, NULL);
	int vm_fd;

	if (version < 0)
		return unable(why, size, path, "it is not KVM's device; give --dev another", 0);
	if (version != KVM_API_VERSION)
		return unable(why, size, path, "it speaks another API than version 12", 0);
	do {
		vm_fd = ioctl(fd, KVM_CREATE_VM, kvm_arch_vm_type(accel->config, fd));
	} while (vm_fd < 0 && errno == EINTR);
	if (vm_fd < 0)
		return unable(why, size, path, "it creates no VM (KVM_CREATE_VM)", errno);
	accel->probed_fd = vm_fd;
	return 0;
}

int kvm_available(struct accel *accel, char *why, size_t size)
{
	const char *path = kvm_path(accel->config);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0)
		return cannot_open(path, errno, why, size);
	err = try_vm(accel, fd, why, size);
	close(fd);
	return err;
}
