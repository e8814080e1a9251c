// SPDX-License-Identifier: GPL-2.0-or-later
// Peers on a Unix socket's path, listening or connecting, or on a descriptor that was given.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "stream-priv.h"
#include "vm-config.h"

struct socket_net {
	struct stream stream;
	struct sockaddr_un address; // sun_path is empty where a descriptor was given
	struct loop_fd listener;    // .fd -1: none
	bool watching;
	struct log_ratelimit turned_away;
	struct log_ratelimit told;
};

static struct socket_net *socket_of(struct stream *stream)
{
	return container_of(stream, struct socket_net, stream);
}

// -- connecting --

static int connect_to(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int dial(struct stream *stream)
{
	struct socket_net *net = socket_of(stream);
	int fd = connect_to(&net->address);

	if (fd >= 0 && log_ratelimit_ok(&net->told))
		info("network %s: connected", stream->name);
	return fd;
}

static void lost(struct stream *stream, const char *why)
{
	struct socket_net *net = socket_of(stream);
	const char *next = "; its link stays down";

	if (net->listener.fd >= 0)
		next = "; waiting for another";
	else if (net->address.sun_path[0])
		next = "; trying to connect again";
	warn_ratelimited(&net->told, "network %s: connection lost: %s%s", stream->name, why, next);
}

// -- listening --

// One peer at a time. A second one is told at once, instead of being kept waiting.
static void accept_peer(struct loop_fd *self, uint32_t epoll_events)
{
	struct socket_net *net = container_of(self, struct socket_net, listener);
	struct stream *stream = &net->stream;
	int fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (stream->fd >= 0) {
		close(fd);
		warn_ratelimited(&net->turned_away,
				 "network %s: has its peer; another was turned away", stream->name);
		return;
	}
	stream_connect(stream, fd);
	if (log_ratelimit_ok(&net->told))
		info("network %s: connected", stream->name);
}

static int attach(struct stream *stream)
{
	struct socket_net *net = socket_of(stream);
	int err;

	if (net->listener.fd < 0)
		return 0;
	err = loop_add_fd(stream->loop, &net->listener, EPOLLIN);
	net->watching = !err;
	return err;
}

static void detach(struct stream *stream)
{
	struct socket_net *net = socket_of(stream);

	if (net->watching)
		loop_remove_fd(stream->loop, &net->listener);
	net->watching = false;
}

// What an earlier run left there and nobody listens on.
static void remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = connect_to(address);
	if (fd == -ECONNREFUSED)
		unlink(address->sun_path);
	if (fd >= 0)
		close(fd);
}

static int listen_on(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	remove_stale(address);
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 && listen(fd, 1) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

// -- open and close --

static void close_socket(struct stream *stream)
{
	struct socket_net *net = socket_of(stream);

	if (net->listener.fd >= 0) {
		close(net->listener.fd);
		unlink(net->address.sun_path);
	}
	stream_exit(stream);
	free(net);
}

static const struct stream_source connecting = {
	.dial = dial,
	.lost = lost,
	.close = close_socket,
};

static const struct stream_source waiting = {
	.lost = lost,
	.attach = attach,
	.detach = detach,
	.close = close_socket,
};

static int open_fd(struct socket_net *net, const struct net_config *config)
{
	socklen_t len = sizeof(int);
	int type;

	if (getsockopt(config->fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return net_fail(config, errno, "fd=%d: %m; give a connected stream socket",
				config->fd);
	if (type != SOCK_STREAM)
		return net_fail(config, EINVAL, "fd=%d: is no stream socket", config->fd);
	// Or what another network's script leaves running would keep the connection.
	if (fcntl(config->fd, F_SETFD, FD_CLOEXEC) < 0)
		return net_fail(config, errno, "fd=%d: %m", config->fd);
	snprintf(net->stream.name, sizeof(net->stream.name), "fd %d", config->fd);
	stream_connect(&net->stream, config->fd);
	return 0;
}

static int open_listener(struct socket_net *net, const struct net_config *config)
{
	net->listener.fd = listen_on(&net->address);
	if (net->listener.fd < 0) {
		int err = -net->listener.fd;

		net->listener.fd = -1;
		return net_fail(config, err, "listen on %s: %m", config->socket_path);
	}
	info("network %s: waiting for a peer", net->stream.name);
	return 0;
}

static int open_connection(struct socket_net *net, const struct net_config *config)
{
	int fd = connect_to(&net->address);

	if (fd >= 0)
		stream_connect(&net->stream, fd);
	else if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -EAGAIN)
		info("network %s: nobody listens there yet; trying once a second",
		     net->stream.name);
	else
		return net_fail(config, -fd, "connect to %s: %m", config->socket_path);
	return 0;
}

static int open_path(struct socket_net *net, const struct net_config *config)
{
	size_t length = strlen(config->socket_path);

	if (!length || length >= sizeof(net->address.sun_path))
		return net_fail(config, ENAMETOOLONG,
				"socket path %s: is not of 1 to %zu bytes; use a shorter one",
				config->socket_path, sizeof(net->address.sun_path) - 1);
	net->address.sun_family = AF_UNIX;
	memcpy(net->address.sun_path, config->socket_path, length + 1);
	snprintf(net->stream.name, sizeof(net->stream.name), "%s", config->socket_path);
	return config->listen ? open_listener(net, config) : open_connection(net, config);
}

int net_stream_open(struct net **net, const struct net_config *config)
{
	bool dials = config->fd < 0 && !config->listen;
	struct socket_net *wire;
	int err;

	if (config->fd < 0 && !config->socket_path)
		return net_fail(config, EINVAL, "mode=stream needs a socket's path or fd=");
	wire = calloc(1, sizeof(*wire));
	if (!wire)
		return net_fail(config, ENOMEM, "%m");
	wire->listener = (struct loop_fd){ .fd = -1, .ready = accept_peer };
	err = stream_init(&wire->stream, dials ? &connecting : &waiting);
	if (err) {
		free(wire);
		return err;
	}
	err = config->fd >= 0 ? open_fd(wire, config) : open_path(wire, config);
	if (err)
		close_socket(&wire->stream);
	else
		*net = &wire->stream.net;
	return err;
}
