// SPDX-License-Identifier: GPL-2.0-or-later
// Hears from the host (rtnetlink(7)) when an interface goes down or comes up.

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "tap-priv.h"

#define UP_FLAGS (IFF_UP | IFF_LOWER_UP)
#ifndef IFF_LOWER_UP // in <linux/if.h>, which excludes <net/if.h>
#define IFF_LOWER_UP (1 << 16)
#endif

static int ask(const struct tap *tap)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.info = { .ifi_family = AF_UNSPEC, .ifi_index = tap->ifindex },
	};

	return send(tap->link.fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

static void take_message(struct tap *tap, const struct nlmsghdr *header)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);

	if (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK)
		return;
	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ifi_index != tap->ifindex)
		return;
	tap_link_changed(tap, header->nlmsg_type == RTM_NEWLINK &&
				      (info->ifi_flags & UP_FLAGS) == UP_FLAGS);
}

static void link_ready(struct loop_fd *file, uint32_t epoll_events)
{
	struct tap *tap = container_of(file, struct tap, link);
	union {
		char bytes[16384];
		struct nlmsghdr header;
	} buffer;
	ssize_t left = recv(file->fd, &buffer, sizeof(buffer), 0);
	const struct nlmsghdr *header = &buffer.header;

	// Messages were lost: one that tells how it is now makes up for them.
	if (left < 0 && errno == ENOBUFS)
		(void)ask(tap);
	for (; left > 0 && NLMSG_OK(header, (size_t)left) && tap->watching_link;
	     header = NLMSG_NEXT(header, left))
		take_message(tap, header);
}

static int open_socket(struct tap *tap)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	tap->link = (struct loop_fd){ .fd = fd, .ready = link_ready };
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return ask(tap);
}

void tap_watch_link(struct tap *tap, struct loop *loop)
{
	int err;

	tap->ifindex = (int)if_nametoindex(tap->name);
	if (tap->link_unknown || !tap->ifindex)
		return;
	err = open_socket(tap);
	tap->watching_link = !err && !loop_add_fd(loop, &tap->link, EPOLLIN);
	if (!tap->watching_link)
		warn("%s: the guest will not learn of its link: %s", tap->text, strerror(-err));
}

void tap_unwatch_link(struct tap *tap)
{
	if (tap->watching_link)
		loop_remove_fd(tap->queues[0].loop, &tap->link);
	if (tap->link.fd >= 0)
		close(tap->link.fd);
	tap->watching_link = false;
	tap->link.fd = -1;
}
