// SPDX-License-Identifier: GPL-2.0-or-later
// The ioctls of KVM (Linux's Documentation/virt/kvm/api.rst), with their messages.

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "log.h"

int kvm_ioctl(int fd, unsigned long request, void *argument, const char *what)
{
	int result;

	do {
		result = ioctl(fd, request, argument);
	} while (result < 0 && errno == EINTR);
	return result < 0 ? fail(errno, "KVM: %s", what) : result;
}

int kvm_check(const struct accel *accel, unsigned capability)
{
	int result = ioctl(kvm_vm(accel)->fd, KVM_CHECK_EXTENSION, (unsigned long)capability);

	return MAX(result, 0);
}

int kvm_enable_cap(struct accel *accel, unsigned capability, uint64_t argument, const char *what)
{
	struct kvm_enable_cap enable = { .cap = capability, .args = { argument } };

	return kvm_ioctl(kvm_vm(accel)->fd, KVM_ENABLE_CAP, &enable, what);
}

int kvm_set_reg(struct vcpu *vcpu, uint64_t id, uint64_t value, const char *what)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_ONE_REG, &reg, what);
}

int kvm_get_reg(struct vcpu *vcpu, uint64_t id, uint64_t *value, const char *what)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	*value = 0; // a narrower register fills only its low bytes
	return kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_ONE_REG, &reg, what);
}

int kvm_device(struct accel *accel, unsigned type, const char *what)
{
	struct kvm_create_device create = { .type = type };
	int err = kvm_ioctl(kvm_vm(accel)->fd, KVM_CREATE_DEVICE, &create, what);

	return err ? err : (int)create.fd;
}

int kvm_device_set(int fd, uint32_t group, uint64_t attribute, const void *value, const char *what)
{
	struct kvm_device_attr attr = {
		.group = group,
		.attr = attribute,
		.addr = (uintptr_t)value,
	};

	return kvm_ioctl(fd, KVM_SET_DEVICE_ATTR, &attr, what);
}

int kvm_device_get(int fd, uint32_t group, uint64_t attribute, void *value, const char *what)
{
	struct kvm_device_attr attr = {
		.group = group,
		.attr = attribute,
		.addr = (uintptr_t)value,
	};

	return kvm_ioctl(fd, KVM_GET_DEVICE_ATTR, &attr, what);
}

void kvm_irq_line(struct accel *accel, uint32_t number, bool high)
{
	struct kvm_vm *vm = kvm_vm(accel);
	struct kvm_irq_level level = { .irq = number, .level = high };

	if (ioctl(vm->fd, KVM_IRQ_LINE, &level) < 0)
		warn_ratelimited(&vm->irq_limit, "KVM: interrupt line %u: %m", number);
}
