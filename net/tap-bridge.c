// SPDX-License-Identifier: GPL-2.0-or-later
// A tap in a bridge, from QEMU's helper: a setuid program that gives one to users whom
// /etc/qemu/bridge.conf allows that. It passes the descriptor over a socket.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "tap-priv.h"
#include "vm-config.h"

// Where distributions have it.
static const char *const helper_paths[] = {
	"/usr/lib/qemu/qemu-bridge-helper",
	"/usr/libexec/qemu-bridge-helper",
	"/usr/lib/qemu-bridge-helper",
};

static const char *find_helper(const struct net_config *config)
{
	if (config->bridge_helper)
		return config->bridge_helper;
	for (unsigned i = 0; i < ARRAY_SIZE(helper_paths); i++)
		if (access(helper_paths[i], X_OK) == 0)
			return helper_paths[i];
	return NULL;
}

static int receive_fd(int socket)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

// The helper says on standard error why it fails.
static int run_helper(const struct net_config *config, const char *helper, int ours, int its)
{
	char bridge[64], fd_option[24];
	const char *const argv[] = { helper, "--use-vnet", bridge, fd_option, NULL };
	int status, fd;

	snprintf(bridge, sizeof(bridge), "--br=%s", config->bridge);
	snprintf(fd_option, sizeof(fd_option), "--fd=%d", its);
	status = tap_run_program(argv);
	if (status < 0)
		return net_fail(config, -status, "bridge=%s: %s: %m", config->bridge, helper);
	fd = status ? -EPERM : receive_fd(ours);
	if (fd < 0)
		return net_fail(config, -fd, "bridge=%s: %s gave no tap: %m", config->bridge,
				helper);
	return fd;
}

int tap_from_helper(const struct net_config *config)
{
	const char *helper = find_helper(config);
	int ends[2], fd;

	if (!helper)
		return net_fail(config, EPERM,
				"bridge=%s: making an interface takes CAP_NET_ADMIN, and QEMU's "
				"qemu-bridge-helper is not installed; name one by helper=, or have "
				"root make a tap and name it by tapif=",
				config->bridge);
	// The helper's end is inherited; nothing else is started meanwhile.
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return net_fail(config, errno, "bridge=%s: open sockets: %m", config->bridge);
	fd = run_helper(config, helper, ends[0], ends[1]);
	close(ends[0]);
	close(ends[1]);
	return fd;
}
