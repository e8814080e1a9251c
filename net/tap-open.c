// SPDX-License-Identifier: GPL-2.0-or-later
// Opens a tap or macvtap, by name or descriptor, and says what would help where it cannot.

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"
#include "tap-priv.h"
#include "vm-config.h"

#define TUN_PATH "/dev/net/tun"
#define NAME_PATTERN "kvik%d" // the host's kernel counts
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static bool is_path(const char *name)
{
	return name && name[0] == '/';
}

static void add_queue(struct tap *tap, int fd)
{
	struct tap_queue *queue = &tap->queues[tap->queue_count++];

	queue->file.fd = fd;
	queue->vhost_fd = -1;
}

// -- what went wrong --

static int cannot_open_tun(const struct net_config *config)
{
	return net_fail(config, errno, "mode=tap: " TUN_PATH ": %m; %s, or use mode=user",
			errno == EACCES ? "have root open it to you ('chmod 666 " TUN_PATH "')" :
					  "load the module tun");
}

static int not_permitted(const struct net_config *config, const char *name)
{
	bool queues = config->queue_pairs > 1;

	return net_fail(config, EPERM,
			"mode=tap: making an interface takes CAP_NET_ADMIN; have root make one "
			"('ip tuntap add %s mode tap user $USER%s') and name it by tapif=, or use "
			"mode=user",
			name, queues ? " multi_queue" : "");
}

static int cannot_attach(const struct net_config *config, const char *name, bool exists)
{
	switch (errno) {
	case EPERM:
		if (exists)
			return net_fail(config, EPERM,
					"tapif=%s: belongs to another user; have root make it "
					"yours ('ip tuntap add %s mode tap user $USER')",
					name, name);
		return not_permitted(config, strchr(name, '%') ? "kvik0" : name);
	case EBUSY:
		return net_fail(config, EBUSY, "tapif=%s: is in use by another program", name);
	case EINVAL:
		if (exists)
			return net_fail(config, EINVAL,
					"tapif=%s: is no tap, or not one of several queues; leave "
					"mq= out, or make it with 'multi_queue'",
					name);
		return net_fail(config, EINVAL, "tapif=%s: is no name for an interface", name);
	default:
		return net_fail(config, errno, "tapif=%s: %m", name);
	}
}

// -- taps --

// Attaches @fd to the interface; 0 or -1 with errno, as ioctl().
static int attach_file(struct tap *tap, int fd, const char *name, unsigned flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(TAP_FLAGS | flags) };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -1;
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	return 0;
}

static int attach_queue(struct tap *tap, int fd, const char *name)
{
	bool several = tap->config->queue_pairs > 1, first = tap->queue_count == 0;

	if (!attach_file(tap, fd, first ? name : tap->name, several ? IFF_MULTI_QUEUE : 0))
		return 0;
	// An interface that was made for several queues wants to be asked like that.
	if (errno == EINVAL && !several)
		return attach_file(tap, fd, name, IFF_MULTI_QUEUE);
	return -1;
}

static int open_tap(struct tap *tap)
{
	const struct net_config *config = tap->config;
	const char *name = config->tap_name ? config->tap_name : NAME_PATTERN;
	bool exists = config->tap_name && if_nametoindex(name);

	if (strlen(name) >= IFNAMSIZ)
		return net_fail(config, EINVAL, "tapif=%s: is longer than the %d bytes of a name",
				name, IFNAMSIZ - 1);
	tap->is_new = !exists;
	tap->net.info.vnet_header = true;
	do {
		int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0)
			return cannot_open_tun(config);
		if (attach_queue(tap, fd, name)) {
			int err = cannot_attach(config, name, exists);

			close(fd);
			return err;
		}
		add_queue(tap, fd);
	} while (tap->queue_count < config->queue_pairs);
	return 0;
}

// -- descriptors and devices --

// The interface behind a descriptor: its name and flags.
static int read_interface(struct tap *tap, int fd, const char *what)
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return net_fail(tap->config, errno, "%s: is no tap: %m", what);
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return net_fail(tap->config, EINVAL,
				"%s: is not a tap whose frames are plain (IFF_TAP | IFF_NO_PI)",
				what);
	tap->net.info.vnet_header = ifr.ifr_flags & IFF_VNET_HDR;
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	return 0;
}

static int open_macvtap(struct tap *tap)
{
	const struct net_config *config = tap->config;
	unsigned flags = config->queue_pairs > 1 ? IFF_MULTI_QUEUE : 0;

	tap->macvtap = true;
	do {
		int fd = open(config->tap_name, O_RDWR | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0)
			return net_fail(config, errno, "tapif=%s: %m", config->tap_name);
		add_queue(tap, fd);
		if (attach_file(tap, fd, "", flags))
			return net_fail(config, errno, "tapif=%s: is no macvtap: %m",
					config->tap_name);
	} while (tap->queue_count < config->queue_pairs);
	return read_interface(tap, tap->queues[0].file.fd, config->tap_name);
}

static int set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int take_file(struct tap *tap, int fd, const char *what)
{
	int err = set_flags(fd);

	if (err)
		return net_fail(tap->config, -err, "%s: %m", what);
	add_queue(tap, fd);
	return read_interface(tap, fd, what);
}

static int open_by_fd(struct tap *tap)
{
	char what[24];

	snprintf(what, sizeof(what), "fd=%d", tap->config->fd);
	tap->link_unknown = true;
	return take_file(tap, tap->config->fd, what);
}

// -- bridges --

static bool may_make_interfaces(void)
{
	struct ifreq ifr = { .ifr_name = NAME_PATTERN, .ifr_flags = (short)TAP_FLAGS };
	int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC);
	bool may = fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0;

	if (fd >= 0)
		close(fd);
	return may;
}

static int open_on_bridge(struct tap *tap)
{
	const struct net_config *config = tap->config;
	int fd;

	if (!config->bridge_helper && (config->tap_name || may_make_interfaces()))
		return open_tap(tap);
	if (config->queue_pairs > 1)
		return net_fail(config, EINVAL,
				"bridge=%s: its helper makes one queue; leave mq= out",
				config->bridge);
	fd = tap_from_helper(config);
	return fd < 0 ? fd : take_file(tap, fd, "the bridge helper's tap");
}

int tap_open_queues(struct tap *tap)
{
	const struct net_config *config = tap->config;

	if (config->fd >= 0)
		return open_by_fd(tap);
	if (is_path(config->tap_name))
		return open_macvtap(tap);
	return config->bridge ? open_on_bridge(tap) : open_tap(tap);
}
